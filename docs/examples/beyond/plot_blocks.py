"""
A picture larger than memory
============================

`apply_blocks` applies a convolution to arrays in files, block by block. Each block reads what its kernel reaches, and
the boundary is that of the whole, so nothing tells where blocks met. A retina, in a file.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

# %%
# The vessels of a retina, by the difference of a fine and a coarse blur, as one operator: it fuses to one kernel.

retina = data.retina()[200:1200, 200:1200, 1].astype(np.float32)
fine = convop.Convolution(convop.psf.gaussian(25, 2).astype(np.float32), retina.shape, boundary="symmetric")
coarse = convop.Convolution(convop.psf.gaussian(25, 5).astype(np.float32), retina.shape, boundary="symmetric")
vessels = coarse - fine
print(repr(vessels))

# %%
# Source and target are memory maps: what is in memory at once is one block and the halo around it.

block = 250
with tempfile.TemporaryDirectory() as folder:
    source = np.lib.format.open_memmap(Path(folder) / "retina.npy", "w+", np.float32, retina.shape)
    target = np.lib.format.open_memmap(Path(folder) / "vessels.npy", "w+", np.float32, retina.shape)
    source[:] = retina
    convop.apply_blocks(vessels, source, target, block=block)
    found = np.array(target)
    del source, target
whole = vessels(retina)
print("largest difference from the whole:", abs(found - whole).max() / abs(whole).max())

# %%
# What happens without: tiles that are filtered alone, each with its own boundary, leave seams.

tile = convop.Convolution(vessels.kernel, (block, block), boundary="symmetric")
starts = range(0, 1000, block)
tiles = np.block([[tile(retina[i : i + block, j : j + block]) for j in starts] for i in starts])
figure, axes = plt.subplots(1, 3, figsize=(12, 4.1), layout="constrained")
axes[0].imshow(retina, cmap="gray")
axes[0].set_title("retina, the green channel")
axes[1].imshow(found, cmap="magma", vmin=0, vmax=8)
axes[1].set_title("vessels, by blocks of 250 x 250")
shown = axes[2].imshow(abs(tiles - whole), cmap="magma", vmax=3)
axes[2].set_title("error of tiles on their own")
figure.colorbar(shown, ax=axes[2], shrink=0.8)
for axis in axes:
    axis.set(xlabel="column", ylabel="row")
