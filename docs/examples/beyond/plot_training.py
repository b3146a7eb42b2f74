"""
Learning a lens from pictures
=============================

An operator becomes a torch module whose kernel trains, also in its sparse form: the values of the matrix are gathered
from the kernel, and gradients flow back onto it. The trained kernel is an operator again, with adjoint and norm.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from skimage import data

import convop

# %%
# A lens with coma, as an example of a kernel without any symmetry, and a photograph that it has blurred.

row, column = np.mgrid[-3:4, -3:4]
width = 1 + 0.5 * np.maximum(column + 2, 0)
head = 0.35 * np.minimum(column + 1, 0) ** 2
true = np.exp(-(row**2) / width - head) * 0.8 ** (column + 3)
true /= true.sum()
sharp = data.gravel()[:96, :128] / 255
start = convop.Convolution(np.zeros((7, 7)), sharp.shape, boundary="mirror")
lens = start.with_kernel(true)
blurred = lens(sharp) + np.random.default_rng(0).normal(0, 0.005, sharp.shape)

# %%
# Each method of the module computes the same map, so it learns the same kernel. The problem is quadratic; L-BFGS is
# done in a few dozen evaluations.

x, y = torch.from_numpy(sharp - sharp.mean()), torch.from_numpy(blurred - sharp.mean())
curves, kernels = {}, {}
for method in ("conv", "sparse"):
    model = convop.to_torch(start, method, trainable=True)
    optimiser = torch.optim.LBFGS(model.parameters(), lr=1, max_iter=40, line_search_fn="strong_wolfe")
    losses = curves[method] = []

    def closure(model=model, optimiser=optimiser, losses=losses):
        optimiser.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        losses.append(loss.item())
        return loss

    optimiser.step(closure)
    kernels[method] = model.operator.kernel.detach().numpy()
    print(f"{method:<7} {len(losses)} evaluations, error of the kernel {abs(kernels[method] - true).max():.1e}")
print("the two differ by", abs(kernels["conv"] - kernels["sparse"]).max())

# %%
# Gradient of the module against the closed form: the adjoint of `kernel_operator`, which is the weight gradient.

model = convop.to_torch(lens, trainable=True)
model(x).sum().backward()
exact = lens.kernel_operator(x.numpy()).H(np.ones(sharp.shape))
print("gradients differ by", abs(model.operator.kernel.grad.numpy() - exact).max() / abs(exact).max())

# %%

learned = start.with_kernel(kernels["conv"])
print("norm of the learned lens:", round(convop.norm(learned), 4), "of the true:", round(convop.norm(lens), 4))
figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), layout="constrained")
axes[0].imshow(blurred, cmap="gray")
axes[0].set(title="gravel, blurred", xlabel="column", ylabel="row")
for axis, kernel, title in zip(axes[1:], (true, kernels["sparse"]), ("true kernel", "learned kernel"), strict=False):
    axis.imshow(kernel, cmap="Blues", vmin=0, vmax=true.max())
    axis.set(title=title, xlabel="column", ylabel="row")
for method, style in (("conv", "-"), ("sparse", "--")):
    axes[3].semilogy(curves[method], style, label=method)
axes[3].axhline(0.005**2, color="0.5", linestyle=":", label="noise")
axes[3].set(title="training", xlabel="evaluation", ylabel="mean square residual")
axes[3].legend(fontsize=8)
