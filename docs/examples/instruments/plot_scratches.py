"""
Blurred, scratched, and a fifth of it lost
==========================================

Pixels that are missing are no reason for a special method: select the ones that are there, and the camera is
`Select @ blur`. The scratches are the letters of a page.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data, filters
from skimage.metrics import peak_signal_noise_ratio as psnr

import convop

scene = data.coffee()[60:170, 140:280].mean(axis=2) / 255
letters = data.page()[60:170, 20:160]
there = letters > filters.threshold_local(letters, 35, offset=6)
print(f"{1 - there.mean():.0%} of the pixels are lost")

# %%
# A mask is an index as numpy has it, so the operator gives a flat vector of the pixels that are there. Its adjoint puts
# them back, and zeros elsewhere.

blur = convop.Convolution(convop.psf.gaussian(7, sigma=1), scene.shape, boundary="symmetric")
pick = convop.Select(scene.shape, there)
camera = pick @ blur
print(repr(camera), bool(convop.check.adjoint(camera)))
recorded = camera(scene) + np.random.default_rng(0).normal(0, 0.01, camera.out_shape)

# %%
# Smoothness spreads what is known into the holes; total variation carries edges through them.

smooth = convop.solve(camera, recorded, alpha=1e-3, regularizer=convop.gradient(scene.shape), tol=1e-4)
edges = convop.solve(camera, recorded, alpha=1.5e-3, prior="tv", tol=1e-2, maxiter=300)
print(smooth, edges, sep="\n")
figure, axes = plt.subplots(1, 4, figsize=(13, 3), layout="constrained")
damaged = np.where(there, pick.H(recorded), np.nan)
images = {"recorded": damaged, "Tikhonov": smooth.x, "total variation": edges.x, "scene": scene}
for axis, (name, image) in zip(axes, images.items(), strict=True):
    axis.imshow(image, cmap="gray", vmin=0, vmax=scene.max())
    value = f", {psnr(scene, image, data_range=1):.1f} dB" if name in ("Tikhonov", "total variation") else ""
    axis.set(title=name + value, xlabel="column", ylabel="row")
    if value:
        print(name + value)
