"""
Four rules for alpha, side by side
==================================

`alpha` weighs the penalty against the data. Too small leaves noise, too large takes detail. Generalised
cross-validation and the L-curve look at the data alone; UPRE and the discrepancy principle want the noise level.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

scene = data.camera()[60:188, 170:298] / 255
blur = convop.Convolution(convop.psf.gaussian(13, sigma=2), scene.shape, boundary="symmetric")
noise = 0.01
recorded = blur(scene) + np.random.default_rng(0).normal(0, noise, scene.shape)

# %%
# What each rule chooses, and the error it leads to. The best is found by looking at the scene, as nobody can.

D = convop.gradient(scene.shape)
alphas = np.logspace(-6, 1, 29)
curve = [convop.solve(blur, recorded, alpha=alpha, regularizer=D).x for alpha in alphas]
errors = [np.sqrt(np.mean((x - scene) ** 2)) for x in curve]
print(f"{'best':<12} alpha {alphas[np.argmin(errors)]:.2e}   rms error {min(errors):.4f}")
chosen = {}
for rule in ("gcv", "lcurve", "upre", "discrepancy"):
    solution = convop.solve(blur, recorded, alpha=rule, noise=noise, regularizer=D)
    chosen[rule] = solution
    print(f"{rule:<12} alpha {solution.alpha:.2e}   rms error {np.sqrt(np.mean((solution.x - scene) ** 2)):.4f}")

# %%
# Left: the error, with a wide flat bottom, so that any alpha within a factor of ten or so will do. Middle: the L-curve,
# whose corner is where less residual begins to cost much roughness. Right: what the residual should be if it were the
# noise; the discrepancy principle takes the crossing, which is always a little to the smooth side.

residuals = [np.linalg.norm(blur(x) - recorded) for x in curve]
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
left.loglog(alphas, errors, "k")
left.set(title="error", xlabel="alpha", ylabel="rms error")
middle.loglog(residuals, [np.linalg.norm(D(x)) for x in curve], "k")
middle.set(title="L-curve", xlabel="||A x - b||", ylabel="||L x||")
middle.xaxis.set_minor_formatter("{x:.0f}")
middle.tick_params(axis="x", which="minor", labelsize=8)
right.semilogx(alphas, np.array(residuals) / np.sqrt(scene.size), "k")
right.axhline(noise, color="0.5", linestyle=":", label="noise")
right.set(title="discrepancy", xlabel="alpha", ylabel="rms residual", ylim=(0.008, 0.016))
for (rule, s), marker in zip(chosen.items(), "osvD", strict=True):
    residual = np.linalg.norm(blur(s.x) - recorded)
    left.plot(s.alpha, np.sqrt(np.mean((s.x - scene) ** 2)), marker, label=rule)
    middle.plot(residual, np.linalg.norm(D(s.x)), marker, label=rule)
    right.plot(s.alpha, residual / np.sqrt(scene.size), marker, label=rule)
for axis in (left, middle, right):
    axis.legend(fontsize=8)

# %%
# The same as pictures: the noise that a small alpha lets through, and the detail that a large one takes.

figure, axes = plt.subplots(1, 4, figsize=(12, 3.3), layout="constrained")
images = (recorded, curve[4], chosen["gcv"].x, curve[-1])
titles = ("recorded", f"alpha {alphas[4]:.0e}", f"alpha {chosen['gcv'].alpha:.1e} (gcv)", f"alpha {alphas[-1]:.0f}")
for axis, image, title in zip(axes, images, titles, strict=True):
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    axis.set(title=title, xlabel="column", ylabel="row")
