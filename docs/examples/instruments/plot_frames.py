"""
Four shaken frames are better than one
======================================

Each shake wipes out some frequencies, and no two the same. Stacked, several blurred frames of a scene are one operator
with one solution that takes from each frame what it has.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import convop

scene = np.moveaxis(data.astronaut()[20:140, 160:300], -1, 0).mean(axis=0) / 255
rng = np.random.default_rng(0)

# %%
# Four exposures with motion in four directions, each by itself hardly invertible.

kernels = [convop.psf.motion(9, angle) for angle in (0, 45, 90, 135)]
frames = [convop.Convolution(kernel, scene.shape, boundary="symmetric") for kernel in kernels]
together = convop.vstack(frames)
print(repr(together))
recorded = together(scene) + rng.normal(0, 0.01, together.out_shape)

# %%
# The smallest value of the transfer function over all frequencies says how much noise is amplified. For one motion it
# is next to zero; of the four together, somebody always sees.

around = [convop.Convolution(kernel, scene.shape, boundary="periodic") for kernel in kernels]
transfer = np.abs([convop.symbol(A) for A in around])
print("smallest transfer, each frame:", transfer.reshape(4, -1).min(axis=1).round(4))
print("smallest transfer, together:  ", np.sqrt((transfer**2).sum(axis=0)).min().round(4))

# %%

D = convop.gradient(scene.shape)
alone = [convop.solve(A, b, alpha=1e-3, regularizer=D).x for A, b in zip(frames, recorded, strict=True)]
joint = convop.solve(together, recorded, alpha=1e-3, regularizer=D)
average = recorded.mean(axis=0)
print(joint)
print("one frame restored:", [round(float(psnr(scene, x, data_range=1)), 2) for x in alone])
print("average of frames: ", round(psnr(scene, average, data_range=1), 2))
print("all frames at once:", round(psnr(scene, joint.x, data_range=1), 2))

figure, axes = plt.subplots(1, 5, figsize=(14, 3), layout="constrained")
axes[0].imshow(np.fft.fftshift(transfer[1]), cmap="magma", vmin=0, vmax=1, extent=(-0.5, 0.5, 0.5, -0.5))
axes[0].set(title="transfer of one frame", xlabel="cycles per column", ylabel="cycles per row")
images = (recorded[1], alone[1], joint.x, scene)
for axis, image, title in zip(axes[1:], images, ("one frame", "restored from one", "from four", "scene"), strict=True):
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    value = "" if image is scene else f", {psnr(scene, image, data_range=1):.1f} dB"
    axis.set(title=title + value, xlabel="column", ylabel="row")
