"""
The last week of a series
=========================

A moving average needs days that are still to come. What stands there is the boundary, and it bends the end of the
curve. Closing prices of a share, years of them, from matplotlib's sample data.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import cbook

import convop

prices = cbook.get_sample_data("goog.npz")["price_data"]["adj_close"].astype(float)
window = np.hanning(63)[1:-1]
window /= window.sum()

# %%
# The truth is known for every day but the last: stop the series at an earlier day, smooth it, and compare the last
# value with what the whole series gives there.

whole = convop.Convolution(window, len(prices), boundary="symmetric")(prices)
ends = np.arange(400, 2200, 12)
ends = ends[ends < len(prices) - len(window)]
boundaries = ("zero", "periodic", "symmetric", "mirror", "replicate", "antireflective")
errors = {}
for name in boundaries:
    last = [convop.Convolution(window, n, boundary=name)(prices[:n])[-1] for n in ends]
    errors[name] = np.abs(np.array(last) / whole[ends - 1] - 1)
    print(f"{name:<15} mean error of the last day {errors[name].mean():6.2%}")

# %%
# Reflection about the last point (antireflective) carries a slope on, and its noise; the other reflections flatten the
# curve. Zero and periodic boundaries are for other things.

n = int(ends[len(ends) // 2])
days = np.arange(n - 60, n + 25)
figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.6), layout="constrained", width_ratios=(1.5, 1))
left.plot(days, prices[days], ".", color="0.75", label="prices")
left.plot(days, whole[days], "k", label="smoothed, with the future")
for name in boundaries[1:]:
    smooth = convop.Convolution(window, n, boundary=name)(prices[:n])
    left.plot(days[:60], smooth[-60:], "--", label=name)
left.axvline(n - 1, color="0.5", linewidth=0.8)
left.set(title="stopped at one day", xlabel="day", ylabel="price in dollars")
left.set_ylim(prices[days].min() * 0.9, prices[days].max() * 1.1)
left.legend(fontsize=7)
right.boxplot([errors[name] for name in boundaries[1:]], orientation="horizontal", showfliers=False)
right.set_yticklabels(boundaries[1:])
right.set(title=f"{len(ends)} days", xlabel="relative error of the last value")
