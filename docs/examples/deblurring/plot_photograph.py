"""
A shaken photograph
===================

Motion blur and noise on a photograph in colours, and back in one call. Nothing is chosen by hand.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import convop

scene = data.chelsea()[40:150, 110:260]
kernel = convop.psf.motion(11, angle=20)

# %%
# The camera sees no more than its frame, and eight bits: the shake takes light from outside the frame into it.

shake = convop.Convolution(kernel, scene.shape[:2], mode="valid")
blurred = np.moveaxis(shake(np.moveaxis(scene, -1, 0).astype(float)), 0, -1)
noise = np.random.default_rng(0).normal(0, 1.5, blurred.shape)
recorded = np.rint(blurred + noise).clip(0, 255).astype(np.uint8)
sharp = scene[tuple(slice(k // 2, -(k // 2)) for k in kernel.shape)]

# %%
# `deconvolve` estimates the scene past the frame as well, keeps edges by total variation, and finds its weight by
# cross-validation. The channel in the middle chooses; the others follow, which saves their search.

chosen = convop.deconvolve(recorded[..., 1], kernel)
print(chosen)
print(chosen.reason)
solution = convop.deconvolve(recorded, kernel, channel_axis=-1, alpha=chosen.alpha)
print(f"recorded {psnr(sharp, recorded):.2f} dB, restored {psnr(sharp, solution.x):.2f} dB")

# %%

figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
for axis, image, title in zip(
    axes,
    (recorded, solution.x, sharp),
    (f"recorded, {psnr(sharp, recorded):.1f} dB", f"restored, {psnr(sharp, solution.x):.1f} dB", "the scene"),
    strict=True,
):
    axis.imshow(image)
    axis.set(title=title, xlabel="column", ylabel="row")
