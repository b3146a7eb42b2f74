"""
Measuring a kernel from a known page
====================================

Show the camera a page that you know, and the kernel is a least-squares solution: convolution is linear in the kernel
as well. Then the same kernel sharpens pictures that you do not know.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data
from skimage.metrics import peak_signal_noise_ratio as psnr

import convop

page = data.page()[:90, :120] / 255
rng = np.random.default_rng(3)

# %%
# A hand that trembled: a smooth random path, seen by nobody but through the picture of the page.

path = np.cumsum(np.cumsum(rng.normal(size=(2, 200)), axis=1), axis=1)
path = 2 + 8 * (path - path.min(axis=1, keepdims=True)) / np.ptp(path, axis=1, keepdims=True)
true = np.histogram2d(*path, bins=np.arange(-0.5, 13))[0]
true /= true.sum()
camera = convop.Convolution(true, page.shape, mode="valid")
recorded = camera(page) + rng.normal(0, 0.01, camera.out_shape)

# %%
# Least squares, and least squares with what is known of light: no entry is negative. The size need not be known: a
# margin that is too much comes out as zeros.

found = convop.estimate_kernel(page, recorded, true.shape, alpha=0.1)
bright = convop.estimate_kernel(page, recorded, true.shape, alpha=0.1, nonneg=True, tol=1e-3)
for name, kernel in (("least squares", found.x), ("not negative", bright.x)):
    error = np.linalg.norm(kernel - true) / np.linalg.norm(true)
    print(f"{name:<14} relative error {error:.3f}, sum {kernel.sum():.3f}")

# %%
# Another picture from the same hand, restored with the measured kernel and with the true one.

text = data.text()[30:90, 30:130] / 255
blurred = convop.Convolution(true, text.shape, mode="valid")(text) + rng.normal(0, 0.01, (48, 88))
measured = bright.x / bright.x.sum()
restored = {
    name: convop.deconvolve(blurred, kernel, alpha=1e-3, tol=1e-2).x
    for name, kernel in (("measured", measured), ("true", true))
}
sharp = text[6:-6, 6:-6]
print(f"with the measured kernel {psnr(sharp, restored['measured'], data_range=1):.2f} dB")
print(f"with the true kernel     {psnr(sharp, restored['true'], data_range=1):.2f} dB")

# %%

figure, axes = plt.subplots(2, 3, figsize=(12, 5), layout="constrained")
panels = (
    (recorded, "the page, recorded", "gray"), (true, "true kernel", "Blues"), (bright.x, "measured kernel", "Blues"),
    (blurred, f"other picture, {psnr(sharp, blurred, data_range=1):.1f} dB", "gray"),
    (restored["measured"], f"restored, {psnr(sharp, restored['measured'], data_range=1):.1f} dB", "gray"),
    (sharp, "as it was", "gray"),
)  # fmt: skip
for axis, (image, title, colours) in zip(axes.flat, panels, strict=True):
    axis.imshow(image, cmap=colours)
    axis.set(title=title, xlabel="column", ylabel="row")
