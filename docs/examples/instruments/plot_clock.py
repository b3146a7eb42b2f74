"""
A clock that really moved
=========================

No simulation here: scikit-image ships a photograph of a clock, taken while the camera moved sideways. Neither the
kernel nor the sharp picture is known. The length of the motion can be read off the spectrum, since a straight, even
motion wipes out frequencies at regular distances.
"""

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

clock = data.clock()[70:230, 110:300] / 255

# %%
# Mean power spectrum of the rows, whitened. A motion of `n` pixels has zeros at multiples of `1/n`, and so its
# logarithm has a dip at `n` in the cepstrum.

rows = data.clock()[40:260] / 255
rows = np.diff(rows, axis=1) * np.hanning(rows.shape[1] - 1)
power = np.log((np.abs(np.fft.fft(rows)) ** 2).mean(axis=0))
cepstrum = np.fft.ifft(power).real[:60]
lengths = np.arange(6, 40)
length = int(lengths[np.argmin(cepstrum[lengths])])
print("length of the motion:", length)

# %%
# With that length the rim of the clock is round, and the hands are to be seen; with one that is wrong, everything is
# there twice. The ripples left and right are what the zeros of the spectrum have lost.

wrong = convop.deconvolve(clock, convop.psf.motion(length - 8, angle=0), prior="tikhonov", alpha=3e-3)
solution = convop.deconvolve(clock, convop.psf.motion(length, angle=0), prior="tikhonov", alpha=3e-3)
print(solution)
figure, axes = plt.subplots(1, 4, figsize=(14, 3.2), layout="constrained")
axes[0].plot(lengths, cepstrum[lengths])
axes[0].axvline(length, color="tab:red", linewidth=0.8)
axes[0].set(title=f"a dip at {length} pixels", xlabel="length in pixels", ylabel="cepstrum")
titles = ("as photographed", f"motion of {length - 8}", f"motion of {length}")
for axis, image, title in zip(axes[1:], (clock, wrong.x, solution.x), titles, strict=True):
    axis.imshow(image, cmap="gray", vmin=0.1, vmax=0.9)
    axis.set(title=title, xlabel="column", ylabel="row")
