"""
What lies outside: boundaries on a real edge
============================================

Every boundary is a guess at what the camera would have seen past its frame. On a window cut from a larger photograph
the truth is known, so guesses can be compared: when a picture is blurred, and when it is deblurred.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

BOUNDARIES = ("zero", "periodic", "symmetric", "mirror", "replicate", "antireflective")

photograph = data.camera() / 255
kernel = convop.psf.disk(5)
reach = kernel.shape[0] // 2
window = np.s_[60:220, 150:330]
wider = np.s_[60 - reach : 220 + reach, 150 - reach : 330 + reach]
scene = photograph[window]

# %%
# Blurring: the true picture is made from the wider scene. The error is that of the outermost rows and columns, where a
# boundary is read.

blur = convop.Convolution(kernel, photograph[wider].shape, mode="valid")
recorded = blur(photograph[wider])
band = np.ones(scene.shape, bool)
band[reach:-reach, reach:-reach] = False
for name in BOUNDARIES:
    guess = convop.Convolution(kernel, scene.shape, boundary=name)(scene)
    print(f"{name:<15} rms error at the edge {np.sqrt(np.mean((guess - recorded)[band] ** 2)):.4f}")

# %%
# Deblurring: now the error does not stay at the edge. A wrong guess is a wrong right-hand side, and the inverse of a
# blur spreads it over the picture as ripples. With `boundary="unknown"`, the default of `deconvolve`, nothing is
# guessed: the scene past the frame is estimated along with the picture.

noisy = recorded + np.random.default_rng(0).normal(0, 0.002, recorded.shape)
shown = ("periodic", "replicate", "antireflective", "unknown")
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
for axis, name in zip(axes, shown, strict=True):
    restored = convop.deconvolve(noisy, kernel, boundary=name, prior="tikhonov", alpha=3e-4).x
    error = np.sqrt(np.mean((restored - scene) ** 2))
    inside = np.sqrt(np.mean((restored - scene)[4 * reach : -4 * reach, 4 * reach : -4 * reach] ** 2))
    print(f"{name:<15} rms error {error:.4f}, far from the edge {inside:.4f}")
    axis.imshow(restored, cmap="gray", vmin=0, vmax=1)
    axis.set(title=f"{name}\nrms error {error:.3f}", xlabel="column", ylabel="row")
