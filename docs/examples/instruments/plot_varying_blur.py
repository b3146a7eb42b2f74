"""
A blur that varies over the picture
===================================

Sharp in the middle, soft towards the rim: no single kernel does that. A sum of a few convolutions, each weighted by
where it holds, does (Nagy and O'Leary 1998). It is an operator like any other: exact adjoint, matrix, solvers.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import convop

scene = data.brick()[100:228, 60:220] / 255

# %%
# Blurs of three widths, blended by the distance from the middle.

sigmas = (0.6, 1.6, 2.8)
row, column = np.meshgrid(*(np.linspace(-1, 1, n) for n in scene.shape), indexing="ij")
distance = np.hypot(row, column) / np.sqrt(2)
weights = [np.maximum(0, 1 - abs(distance - at) / 0.5) for at in (0.0, 0.5, 1.0)]
print("weights add to one:", np.allclose(sum(weights), 1))

blur = 0 * convop.Identity(scene.shape, dtype="float64")
for weight, sigma in zip(weights, sigmas, strict=True):
    lens = convop.Convolution(convop.psf.gaussian(15, sigma), scene.shape, boundary="symmetric")
    blur = blur + convop.Diagonal(weight) @ lens
print(repr(blur))
print("adjoint:", bool(convop.check.adjoint(blur)))
print(convop.estimate(blur))

# %%
# Restored with the operator, and with the middle one of its kernels for the whole picture.

noise = np.random.default_rng(0).normal(0, 0.005, scene.shape)
recorded = blur(scene) + noise
D = convop.laplacian(scene.shape)
whole = convop.solve(blur, recorded, alpha=1e-3, regularizer=D, tol=1e-4)
print(whole)
middle = convop.Convolution(convop.psf.gaussian(15, sigmas[1]), scene.shape, boundary="symmetric")
single = convop.solve(middle, recorded, alpha=1e-3, regularizer=D)

# %%

kernels = np.zeros(scene.shape)
kernels[12::26, 12::29] = 1
figure, axes = plt.subplots(1, 4, figsize=(13.5, 3.2), layout="constrained")
axes[0].imshow(np.sqrt(np.maximum(blur(kernels), 0)), cmap="magma")
axes[0].set_title("points, blurred (square root)")
for axis, image, title in zip(
    axes[1:], (recorded, single.x, whole.x), ("recorded", "one kernel", "the operator"), strict=True
):
    axis.imshow(image, cmap="gray", vmin=scene.min(), vmax=scene.max())
    axis.set_title(f"{title}, {psnr(scene, image, data_range=1):.1f} dB")
    print(f"{title:<14} {psnr(scene, image, data_range=1):.2f} dB")
for axis in axes:
    axis.set(xlabel="column", ylabel="row")
