"""
The spectral norm of a strided layer
====================================

How much can a layer amplify its input? Bounds on robustness and on training rest on that norm. Three shortcuts are
common; here they meet the truth, on a layer whose filters were learned from a photograph, with stride 2.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

# %%
# Eight filters of 5 x 5: principal components of the patches of a photograph, weighted as they occur.

photograph = data.camera() / 255
patches = convop.Unfold((1, 512, 512), 5, stride=3)(photograph[None])
patterns, strengths, _ = np.linalg.svd(patches, full_matrices=False)
weight = (patterns[:, :8] * (strengths[:8] / strengths[0]) ** 0.5).T.reshape(8, 1, 5, 5)

# %%
# Reshaping the weight to a matrix ignores how windows overlap. Taking the layer as periodic and without its stride
# ignores both; with its stride, the symbol is a block for each frequency, and its norm an upper bound that is close.

sizes = (8, 12, 16, 24, 32, 48)
shortcuts = {"weight as a matrix": [], "periodic, no stride": [], "periodic, strided": []}
truth, bounds = [], []
for n in sizes:
    layer = convop.conv_layer(weight, (1, n, n), stride=2, padding=2)
    truth.append(convop.norm(layer))
    bounds.append(convop.norm_bounds(layer))
    shortcuts["weight as a matrix"].append(np.linalg.norm(weight.reshape(8, -1), 2))
    for name, stride in (("periodic, no stride", 1), ("periodic, strided", 2)):
        around = convop.conv_layer(weight, (1, n, n), stride=stride, padding=2, boundary="periodic")
        shortcuts[name].append(convop.norm(around))

for name, values in shortcuts.items():
    print(f"{name:<20} {values[-1] / truth[-1]:.3f} times the norm at 48 x 48")
print("certified:", bounds[-1])
dense = np.linalg.norm(convop.conv_layer(weight, (1, 16, 16), stride=2, padding=2).toarray(), 2)
print("against the dense matrix at 16 x 16:", abs(dense / truth[2] - 1))

# %%

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", width_ratios=(1, 1.6))
left.imshow(np.block([[weight[4 * i + j, 0] for j in range(4)] for i in range(2)]), cmap="RdBu", vmin=-0.3, vmax=0.3)
left.set(title="the filters", xlabel="column", ylabel="row")
for (name, values), style in zip(shortcuts.items(), ("v:", "s:", "^:"), strict=True):
    right.plot(sizes, values, style, label=name)
right.plot(sizes, truth, "ko-", label="norm")
right.fill_between(sizes, [b.lower for b in bounds], [b.upper for b in bounds], alpha=0.3, label="certified")
right.set(title="stride 2, padding 2, zero boundary", xlabel="size of the picture", ylabel="spectral norm")
right.legend(fontsize=8)
