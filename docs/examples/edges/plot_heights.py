"""
Heights from slopes
===================

Shading, lidar and wavefront sensors measure slopes; the surface is what has them. `gradient` is an operator like any
other, so the surface is a least-squares solution, with no formula of its own. Terrain around the Jacksboro fault.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import cbook

import convop

terrain = cbook.get_sample_data("jacksboro_fault_dem.npz")["elevation"].astype(float)[::4, ::4]
rng = np.random.default_rng(0)

# %%
# Slopes along both axes, with noise, and none measured in a lake-shaped hole.

D = convop.gradient(terrain.shape)
slopes = D(terrain)
noisy = slopes + rng.normal(0, 3, slopes.shape)
row, column = np.ogrid[: terrain.shape[0], : terrain.shape[1]]
measured = ((row - 45) / 18) ** 2 + ((column - 60) / 10) ** 2 > 1
known = convop.Diagonal(np.broadcast_to(measured.astype(float), slopes.shape))

# %%
# Adding slopes up along a row carries every error on to the end of it. Least squares uses all ways there are; the
# little bit of smoothness fills the hole. The height of the whole is not in the slopes, so means are compared.

summed = np.cumsum(np.where(measured, noisy[1], 0), axis=1)
summed = np.hstack([np.zeros((len(terrain), 1)), summed[:, :-1]]) + terrain[:, :1]
solution = convop.solve(known @ D, known(noisy), alpha=1e-4, regularizer="laplacian", tol=1e-5)
heights = solution.x - solution.x.mean() + terrain.mean()
print(solution)
print("rms error in metres, summed along rows:", np.sqrt(np.mean((summed - terrain) ** 2)).round(1))
print("rms error in metres, least squares:    ", np.sqrt(np.mean((heights - terrain) ** 2)).round(1))

# %%

figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), layout="constrained")
axes[0].imshow(np.where(measured, noisy[1], np.nan), cmap="RdBu", vmin=-120, vmax=120)
axes[0].set_title("step along a row, as measured")
limits = {"vmin": terrain.min(), "vmax": terrain.max(), "cmap": "terrain"}
axes[1].imshow(summed, **limits)
axes[1].set_title("summed along rows")
shown = axes[2].imshow(heights, **limits)
axes[2].set_title("least squares")
figure.colorbar(shown, ax=axes, shrink=0.8, label="height in metres")
for axis in axes:
    axis.set(xlabel="column", ylabel="row")
