"""
Windows as columns, and back
============================

`Unfold` makes a column of every window of a picture (im2col), so that a convolution is a product of small matrices.
Its adjoint, fold, adds the windows back: that is all a transposed convolution does, and why it can leave a chessboard.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

coins = data.coins()[20:116, 30:158] / 255

# %%
# Windows of 5 x 5, four samples apart. The eight patterns that explain most of them, by principal components, are the
# weights of a layer.

unfold = convop.Unfold((1, *coins.shape), 5, stride=4)
columns = unfold(coins[None])
print("columns:", columns.shape)
patterns, strengths, _ = np.linalg.svd(columns - columns.mean(axis=0), full_matrices=False)
print("explained by 8:", (strengths[:8] ** 2).sum() / (strengths**2).sum())

weight = patterns[:, :8].T.reshape(8, 1, 5, 5)
layer = convop.conv_layer(weight, (1, *coins.shape), stride=4)
features = layer(coins[None])
print("layer is weight times columns:", np.allclose(features.reshape(8, -1), patterns[:, :8].T @ columns))

# %%
# The transposed layer folds the patterns back. Windows overlap by one sample, and what lies in two windows is counted
# twice: the fold of ones says how often. Divided by that, the grid is gone.

transposed = convop.conv_transpose_layer(weight, features.shape, stride=4)
down = convop.conv_layer(weight, transposed.out_shape, stride=4)
print("transposed layer is the adjoint:", bool(convop.check.equal(transposed, down.H)))
means = np.repeat(columns.mean(axis=0, keepdims=True), 25, axis=0)
folded = unfold.H(patterns[:, :8] @ features.reshape(8, -1) + means)[0]
counts = unfold.H(np.ones(unfold.out_shape))[0]
used = np.s_[: 4 * ((coins.shape[0] - 5) // 4) + 5, : 4 * ((coins.shape[1] - 5) // 4) + 5]
restored = folded[used] / counts[used]
print("samples counted", sorted(set(counts[used].ravel().astype(int).tolist())), "times")
print("rms error, folded:  ", np.sqrt(np.mean((folded[used] - coins[used]) ** 2)).round(4))
print("rms error, divided: ", np.sqrt(np.mean((restored - coins[used]) ** 2)).round(4))

# %%

figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
axes[0].imshow(coins, cmap="gray")
axes[0].set_title("coins")
axes[1].imshow(np.block([[patterns[:, 4 * i + j].reshape(5, 5) for j in range(4)] for i in range(2)]), cmap="RdBu")
axes[1].set_title("8 patterns of 5 x 5")
axes[2].imshow(folded, cmap="gray")
axes[2].set_title("folded: the grid shows")
axes[3].imshow(restored, cmap="gray", vmin=coins.min(), vmax=coins.max())
axes[3].set_title("divided by the counts")
for axis in axes:
    axis.set(xlabel="column", ylabel="row")
