"""
Galaxies through the atmosphere
===============================

Light from the sky is counted, photon by photon, so the noise is Poisson's and grows with brightness. Richardson-Lucy
climbs that likelihood, and keeps counts from going below zero. A part of the Hubble Deep Field, as a telescope on the
ground would have seen it.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

# %%
# Seeing of four pixels, with the wide wings that a Moffat profile has; a thousand photons where it is brightest, over a
# faint sky.

field = data.hubble_deep_field()[560:700, 30:190].mean(axis=2)
scene = 1000 * np.maximum(field - np.median(field), 0) / field.max()
seeing = convop.psf.moffat(21, fwhm=4, beta=3)
atmosphere = convop.Convolution(seeing, scene.shape, mode="valid")
sky = 2.0
rng = np.random.default_rng(0)
counts = rng.poisson(atmosphere(scene) + sky).astype(float)

# %%
# The sky is part of the counts, so it is restored along with the stars, and subtracted at the end. Least squares with
# a smooth prior does not know that bright pixels are noisier, nor that light is not negative.

lucy = convop.deconvolve(counts, seeing, prior="poisson", maxiter=10, tol=1e-12)
smooth = convop.deconvolve(counts, seeing, prior="tikhonov", alpha="gcv")
print(lucy)
truth = scene[10:-10, 10:-10]
shown = {"counted": counts - sky, "Tikhonov": smooth.x - sky, "Richardson-Lucy": lucy.x - sky, "the sky": truth}
for name, image in shown.items():
    print(f"{name:<16} rms error {np.sqrt(np.mean((image - truth) ** 2)):6.2f}   lowest {image.min() + sky:7.2f}")

# %%
# Ten steps, and not more: Richardson-Lucy is stopped before it begins to fit the noise. What it restores explains the
# counts, no light is made: blurred again, it has the flux that was counted.

print("photons counted, and restored and blurred:", int(counts.sum()), int(atmosphere(lucy.scene).sum()))
figure, axes = plt.subplots(1, 4, figsize=(13, 3.6), layout="constrained")
for axis, (name, image) in zip(axes, shown.items(), strict=True):
    shown_as = axis.imshow(np.arcsinh(image / 3), cmap="inferno", vmin=0, vmax=np.arcsinh(truth.max() / 3))
    axis.set(title=name, xlabel="column", ylabel="row")
figure.colorbar(shown_as, ax=axes, shrink=0.8, label="arcsinh(photons / 3)")
