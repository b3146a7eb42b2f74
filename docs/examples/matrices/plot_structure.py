"""
Toeplitz, doubly blocked Toeplitz, circulant
============================================

The boundary decides the structure of the matrix. Here for rows and patches of a page of text.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

# %%
# One axis: a row of the page. With zeros outside, the matrix is constant along its diagonals (Toeplitz). Periodic, it
# is circulant as well. A mirroring boundary adds entries near the corners, a Toeplitz plus a Hankel matrix.

row = data.page()[60, :14] / 255
kernel = [1.0, 2.0, 4.0, 3.0, 1.0]
operators = {name: convop.Convolution(kernel, len(row), boundary=name) for name in ("zero", "periodic", "symmetric")}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for axis, (name, operator) in zip(axes, operators.items(), strict=True):
    shown = axis.imshow(operator.toarray(), cmap="Blues", vmin=0, vmax=8)
    axis.set(title=f"{name}, rank {np.linalg.matrix_rank(operator.toarray())}", xlabel="input", ylabel="output")
figure.colorbar(shown, ax=axes, shrink=0.8, label="entry")

# %%
# Two axes: blocks, one for each pair of an output and an input row, are constant along *their* diagonals, and each of
# them is Toeplitz itself.

patch = data.page()[60:68, 40:49] / 255
blur = convop.Convolution([[4.0, 3.0, 0.0], [1.0, 2.0, 1.0]], patch.shape, mode="full")
blocked = convop.as_toeplitz(blur)
print(blocked)
print("lag 1, the second row of the kernel:")
print(blocked.block(1).toarray().astype(int)[:4, :4])

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 5.2), layout="constrained")
left.imshow(blur.toarray(), cmap="Blues")
for edge in range(1, 9):
    left.axhline(edge * blur.out_shape[1] - 0.5, color="0.6", linewidth=0.5)
    left.axvline(edge * patch.shape[1] - 0.5, color="0.6", linewidth=0.5)
left.set(title="doubly blocked Toeplitz", xlabel="input sample", ylabel="output sample")
right.imshow(blocked.block(0).toarray(), cmap="Blues")
right.set(title="its block of lag 0, the kernel's first row", xlabel="input column", ylabel="output column")

# %%
# A circulant matrix is diagonal in frequency, so it has an inverse at the cost of two transforms. The smallest
# eigenvalue says how much that inverse makes of noise.

around = convop.as_circulant(operators["periodic"])
print("smallest |eigenvalue|:", abs(around.eigvals()).min().round(4))
print("error of the inverse: ", abs(around.inv()(around(row)) - row).max())
