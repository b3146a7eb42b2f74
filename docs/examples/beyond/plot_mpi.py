"""
One picture, two processes
==========================

`convop.mpi.distribute` spreads a convolution over the processes of MPI: each holds a part of the rows, and what its
kernel reads beyond them comes from its neighbours. The solvers are those of PyLops-MPI.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage import data

import convop

# %%
# Every process runs the same program. This one blurs a photograph, and takes the blur back by conjugate gradients, on
# two ranks.

program = """
import sys
from pathlib import Path
import numpy as np, pylops_mpi
from mpi4py import MPI
from skimage import data
import convop

photograph = data.camera()[40:168, 150:310] / 255
blur = convop.Convolution(convop.psf.motion(7, 30), photograph.shape, boundary="mirror")
D = convop.mpi.distribute(blur)
x = convop.mpi.scatter(D, photograph)
y = D @ x
start = convop.mpi.scatter(D, np.zeros_like(photograph))
restored = pylops_mpi.cgls(D, y, x0=start, niter=40, damp=0.05, tol=0)[0]
blurred, restored = convop.mpi.gather(D, y), convop.mpi.gather(D, restored)
rows = MPI.COMM_WORLD.gather(D.local_in_shapes[MPI.COMM_WORLD.rank])
if MPI.COMM_WORLD.rank == 0:
    print("rows of each rank:", rows)
    np.savez(Path(sys.argv[1]) / "result.npz", blurred=blurred, restored=restored)
"""

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "program.py"
    path.write_text(program)
    mpiexec = Path(sys.executable).parent / "mpiexec"
    command = [str(mpiexec), "-n", "2", sys.executable, "-m", "mpi4py", str(path), folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout, end="")
    with np.load(Path(folder) / "result.npz") as result:
        blurred, restored = result["blurred"], result["restored"]

# %%
# The answer is that of one process, to rounding; where the blocks met shows nowhere.

photograph = data.camera()[40:168, 150:310] / 255
blur = convop.Convolution(convop.psf.motion(7, 30), photograph.shape, boundary="mirror")
print("blurred, difference from one process:", abs(blurred - blur(photograph)).max())
figure, axes = plt.subplots(1, 3, figsize=(12, 3.4), layout="constrained")
for axis, image, title in zip(
    axes, (blurred, restored, photograph), ("blurred on two ranks", "restored on two ranks", "photograph"), strict=True
):
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    axis.axhline(63.5, color="tab:red", linewidth=0.5, linestyle=":")
    axis.set(title=title, xlabel="column", ylabel="row")
print("restored, rms error:", np.sqrt(np.mean((restored - photograph) ** 2)).round(4))
print("blurred,  rms error:", np.sqrt(np.mean((blurred - photograph) ** 2)).round(4))
