"""
A false adjoint, and what it costs
==================================

"The adjoint of a convolution is the correlation with the same boundary" is a mistake that several libraries have
released. With a symmetric Gaussian nobody notices. A point-spread function that is *not* symmetric shows it.
"""

import matplotlib.pyplot as plt
import numpy as np
import scipy.ndimage
from scipy.sparse.linalg import cg
from skimage import data

import convop

moon = data.moon()[100:228, 200:328] / 255

# %%
# A camera that shook on a curve: its kernel has no symmetry. The pair below is what one would write with scipy.

shake = np.zeros((9, 9))
shake[[0, 1, 2, 3, 5, 6, 7], [0, 1, 3, 5, 7, 8, 8]] = [1, 2, 3, 3, 2, 1, 1]
shake /= shake.sum()


def pair(kernel):
    def forward(x):
        return scipy.ndimage.convolve(x, kernel, mode="reflect")

    def adjoint(y):
        return scipy.ndimage.correlate(y, kernel, mode="reflect")

    return convop.as_operator(
        forward=forward,
        adjoint=adjoint,
        in_shape=moon.shape,
        out_shape=moon.shape,
        dtype=np.float64,
    )


symmetric = convop.psf.gaussian(9, sigma=2)
print("Gaussian:", convop.check.adjoint(pair(symmetric)))
report = convop.check.adjoint(pair(shake))
print("shake:   ", report)

# %%
# Correlation keeps the boundary; the adjoint must instead add what was read beyond the edge back to the sample it was
# copied from. The two differ in a frame along the edge, as wide as the kernel reaches.

blur = convop.Convolution(shake, moon.shape, boundary="ndimage:reflect")
print("right pair:", bool(convop.check.adjoint(blur)))
recorded = blur(moon) + np.random.default_rng(0).normal(0, 0.002, moon.shape)
difference = abs(pair(shake).H(recorded) - blur.H(recorded))[-24:, -24:]

# %%
# Conjugate gradients on the normal equations need a symmetric matrix. With the false adjoint they have none: they go
# astray after a few dozen steps. The distance is that to the minimiser, which `solve` finds to eight digits.

alpha = 1e-3
goal = convop.solve(blur, recorded, alpha=alpha, tol=1e-8).unwrap().ravel()
errors = {}
for name, operator in (("the adjoint", blur), ("correlation", pair(shake))):
    normal = operator.H @ operator + alpha * convop.Identity(moon.shape)
    errors[name] = seen = []
    restored, _ = cg(
        normal,
        operator.H(recorded).ravel(),
        maxiter=150,
        rtol=1e-12,
        callback=lambda x, seen=seen: seen.append(np.linalg.norm(x - goal) / np.linalg.norm(goal)),
    )
    print(f"{name}: distance {seen[-1]:.1e} after 150 steps, {min(seen):.1e} at best")

# %%

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained", width_ratios=(1, 1.2, 1.6))
left.imshow(shake, cmap="Blues")
left.set(title="the kernel", xlabel="column", ylabel="row")
shown = middle.imshow(difference, cmap="magma", extent=(104, 128, 128, 104))
figure.colorbar(shown, ax=middle, shrink=0.8)
middle.set(title="correlation minus adjoint, a corner", xlabel="column", ylabel="row")
for name, values in errors.items():
    right.semilogy(values, label=name)
right.set(title="conjugate gradients", xlabel="step", ylabel="distance to the minimiser")
right.legend()
