"""
A hundred faces at once
=======================

Leading axes are a batch: one operator, one factorisation, a hundred right-hand sides. The inverse filter, the simplest
of all, shows what regularisation is for. Labelled Faces in the Wild, 25 x 25 pixels each.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

faces = data.lfw_subset()[:100]
blur = convop.Convolution(convop.psf.gaussian(7, sigma=1.2), (25, 25), boundary="periodic")
rng = np.random.default_rng(0)
recorded = blur(faces) + rng.normal(0, 0.01, faces.shape)

# %%
# Periodic, the blur is diagonal in frequency and has an inverse, exactly. Without noise it gives the faces back, to
# rounding times the condition number; with one percent of noise, the noise of the worst frequency is all that is left.

C = convop.as_circulant(blur)
print("condition number:", round(convop.cond(blur), 1))
print("without noise:", abs(C.inv()(blur(faces)) - faces).max())
inverse = C.inv()(recorded)
cut = C.pinv(rcond=0.1)(recorded)

# %%
# Between the two lies a filter that weighs each frequency by what it can be trusted with. One alpha for each face, by
# the discrepancy principle.

start = time.perf_counter()
solution = convop.solve(blur, recorded, alpha="discrepancy", noise=0.01, regularizer="gradient")
print(f"{len(faces)} faces in {time.perf_counter() - start:.2f} s, method {solution.method}")
print(f"alpha from {solution.alpha.min():.1e} to {solution.alpha.max():.1e}")

panels = {"recorded": recorded, "inverse": inverse, "frequencies cut": cut, "regularised": solution.x, "faces": faces}
figure, axes = plt.subplots(1, 5, figsize=(14, 3.1), layout="constrained")
for axis, (name, images) in zip(axes, panels.items(), strict=True):
    error = np.sqrt(np.mean((images - faces) ** 2))
    print(f"{name:<16} rms error {error:.3f}")
    axis.imshow(np.block([[images[4 * i + j] for j in range(4)] for i in range(4)]), cmap="gray", vmin=0, vmax=1)
    axis.set(title=name if name == "faces" else f"{name}, {error:.3f}", xlabel="column", ylabel="row")
