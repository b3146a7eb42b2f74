"""
The matrix of a strided convolution
===================================

MATLAB has `convmtx2`, the matrix of a two-dimensional convolution. People ask for the same in torch: the matrix of
`torch.nn.functional.conv2d`, with its stride, padding, dilation and channels, as a sparse tensor.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage import data, transform

import convop

# %%
# Two filters, horizontal and vertical Sobel, with stride 2 and padding 1, on a photograph of 32 x 32 pixels.

photograph = transform.downscale_local_mean(data.camera(), (16, 16)) / 255
sobel = np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
weight = np.stack([sobel, sobel.T])[:, None]

layer = convop.conv_layer(weight, (1, 32, 32), stride=2, padding=1)
print(convop.estimate(layer))
matrix = layer.tosparse()

# %%
# The same numbers come out of the matrix and of torch.

x = torch.from_numpy(photograph[None])
wanted = torch.nn.functional.conv2d(x[None], torch.from_numpy(weight), stride=2, padding=1)[0]
print("scipy:", abs((matrix @ photograph.ravel()).reshape(2, 16, 16) - wanted.numpy()).max())

tensor = convop.to_torch_sparse(layer)
print("torch:", float((tensor @ x.flatten() - wanted.flatten()).abs().max()))

# %%
# Each row is one output: the kernel, spread to where its window stands. The upper half belongs to the first filter, the
# lower to the second. Where the padding is read, at the top and left, the rows are shorter.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained", width_ratios=(1, 2, 1))
left.imshow(photograph, cmap="gray")
left.set(title="32 x 32 samples", xlabel="column", ylabel="row")
middle.spy(matrix, markersize=0.6, aspect="auto")
middle.axhline(255.5, color="tab:red", linewidth=0.8)
middle.set(title=f"matrix {matrix.shape[0]} x {matrix.shape[1]}, {matrix.nnz} entries", xlabel="input sample")
middle.set_ylabel("output sample")
edges = np.hypot(*(matrix @ photograph.ravel()).reshape(2, 16, 16))
shown = right.imshow(edges, cmap="magma")
figure.colorbar(shown, ax=right, shrink=0.7)
right.set(title="slope, 16 x 16", xlabel="column", ylabel="row")
lengths = np.diff(matrix.indptr)
print(f"entries in a row: {lengths.min()} at the corner, {lengths.max()} inside")
