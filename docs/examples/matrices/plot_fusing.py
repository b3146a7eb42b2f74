"""
A chain of layers that is one layer
===================================

Lens, sensor and compression of a camera are three filters in a row. Their product is one convolution where that is
exact, and convop says where it is not, and which pixels would be wrong.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

picture = data.camera()[40:200, 150:350] / 255

# %%
# A lens out of focus, the square area of a sensor's pixel, and one pixel in two kept. Nothing outside the picture is
# read ("valid"), so the three are one convolution with stride 2.

lens = convop.Convolution(convop.psf.disk(2), picture.shape, mode="valid")
pixel = convop.Convolution(np.full((3, 3), 1 / 9), lens.out_shape, mode="valid")
keep = convop.Convolution(np.ones((1, 1)), pixel.out_shape, mode="valid", stride=2)
camera = keep @ pixel @ lens
print(repr(camera))
print(convop.explain(camera))
print("largest difference:", abs(camera(picture) - keep(pixel(lens(picture)))).max())
chain, fused = lens.work * lens.shape[0] + pixel.work * pixel.shape[0], camera.work * camera.shape[0]
print(f"multiply-adds for a picture: {chain:,} in the chain, {fused:,} in one")

# %%
# With zeros outside and "same" sizes, the second filter reads zeros where the first would have gone on. One kernel for
# both would be wrong along the edges, so the product stays a product, and `explain` says where.

first = convop.Convolution(convop.psf.motion(15, 30), picture.shape)
second = convop.Convolution(convop.psf.motion(15, 120), picture.shape)
product = second @ first
print(repr(product))
seam = convop.explain(product).seams[0]
print(seam.reason)

# %%
# Composing the kernels by hand anyway, as is often done, errs by nearly a fifth of the range there.

composed = convop.Convolution(
    convop.Convolution(second.kernel, first.kernel.shape, mode="full")(first.kernel), picture.shape
)
error = abs(composed(picture) - product(picture))
print("largest error:", error.max().round(3), " largest where explain sees none:", error[~seam.rows].max().round(15))
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.1), layout="constrained")
axes[0].imshow(product(picture), cmap="gray")
axes[0].set_title("blurred twice")
axes[1].imshow(seam.rows, cmap="Greys")
axes[1].set_title(f"one kernel errs here ({seam.rows.mean():.0%})")
shown = axes[2].imshow(error, cmap="magma")
axes[2].set_title("by how much")
figure.colorbar(shown, ax=axes[2], shrink=0.8)
for axis in axes:
    axis.set(xlabel="column", ylabel="row")
