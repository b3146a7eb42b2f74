"""How well `convop.deconvolve` restores photographs, with its defaults, against the methods of scikit-image.

    python tests/benchmarks/deblurring.py                  # the table: half an hour on two cores
    python tests/benchmarks/deblurring.py --others         # on other pictures than the constants were found on
    python tests/benchmarks/deblurring.py --quick          # one small cell, for a test
    python tests/benchmarks/deblurring.py --table docs/deblurring.csv --figure docs/_static/deconvolution.png

A scene larger than the frame is blurred and cropped, so nobody is told what lies outside. The rivals are given their
best parameter for every single picture, found by looking at the original, and see the picture as it is and continued
by reflection, whichever suits them better; convop is given nothing. Measured are PSNR
and SSIM over the whole frame, and PSNR over its inside, where no kernel reaches past the edge. Needs scikit-image;
PyProximal, if it is there, minimises the objective that convop minimised.
"""

import argparse
import csv
import importlib.util
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

import convop

ADJUSTED = ("camera", "astronaut", "coffee")  # the constants of the automatic alpha were found on these
OTHERS = ("chelsea", "coins", "brick", "page")
NOISES = (0.001, 0.01, 0.03)
FRAME = 160
SMALL = 72
BALANCES = np.logspace(-7, 1, 33)
STEPS = (3, 5, 10, 20, 40, 80, 160)
FACTORS = (0.35, 0.6, 1.7, 2.8)


def kernels():
    speckle = np.random.default_rng(7).random((9, 9)) ** 3
    return {
        "Gaussian, sigma 2": convop.psf.gaussian(13, 2.0),
        "disk, radius 4": convop.psf.disk(4.0),
        "motion, 15 px, 30 deg": convop.psf.motion(15, 30),
        "random, 9 x 9": speckle / speckle.sum(),
    }


def pictures(frame):
    """Grey scenes that scikit-image ships, larger than the frame by a margin for every kernel."""
    from skimage import color, data

    for name, picture, top, left in (
        ("camera", data.camera(), 60, 130), ("astronaut", color.rgb2gray(data.astronaut()), 10, 120),
        ("coffee", color.rgb2gray(data.coffee()), 100, 180), ("chelsea", color.rgb2gray(data.chelsea()), 50, 120),
        ("coins", data.coins(), 60, 100), ("brick", data.brick(), 0, 0), ("page", data.page(), 0, 0),
    ):  # fmt: skip
        grey = picture / 255.0 if picture.dtype == np.uint8 else np.asarray(picture, float)
        yield name, grey[top : top + frame + 32, left : left + frame + 32]


def simulate(scene, kernel, noise, frame, seed):
    """The sharp frame, and what is recorded of it: blurred, cropped, with noise."""
    blurred = convop.Convolution(kernel, scene.shape, mode="valid")(scene)
    starts = [(n - frame) // 2 for n in blurred.shape]
    cut = tuple(slice(s, s + frame) for s in starts)
    sharp = tuple(slice(s + k // 2, s + k // 2 + frame) for s, k in zip(starts, kernel.shape, strict=True))
    return scene[sharp], blurred[cut] + noise * np.random.default_rng(seed).standard_normal((frame, frame))


def psnr(x, sharp):
    return float(-10 * np.log10(np.mean((np.clip(x, 0, 1) - sharp) ** 2)))


def scores(x, sharp, reach):
    from skimage.metrics import structural_similarity

    inside = (slice(reach, -reach),) * 2
    ssim = structural_similarity(np.clip(x, 0, 1), sharp, data_range=1.0)
    return {"psnr": psnr(x, sharp), "ssim": float(ssim), "inside": psnr(x[inside], sharp[inside])}


def rivals(b, kernel, sharp):
    """Each method of scikit-image with the parameter that comes nearest to the original."""
    from skimage import restoration

    def best(restore, parameters=(None,)):
        candidates = (restore(view, p)[cut] for p in parameters for view, cut in views)
        return max(candidates, key=lambda x: psnr(x, sharp))

    margin = 2 * max(kernel.shape)
    inside = (slice(margin, -margin),) * 2
    views = ((b, (slice(None),) * 2), (np.pad(b, margin, mode="symmetric"), inside))
    yield "wiener", best(lambda view, p: restoration.wiener(view, kernel, p, clip=False), BALANCES)
    yield "unsupervised_wiener", best(lambda view, _: unsupervised(view, kernel))
    yield "richardson_lucy", best(lambda view, p: lucy(view, kernel, p), STEPS)


def lucy(view, kernel, steps):
    from skimage import restoration

    return restoration.richardson_lucy(np.clip(view, 1e-6, None), kernel, num_iter=steps, clip=False)


def unsupervised(view, kernel):
    from skimage import restoration

    return restoration.unsupervised_wiener(view, kernel, clip=False, rng=0)[0]


def cell(kernel, noise, frame, names, alphas):
    """Scores of every method for one kernel and noise, by picture."""
    reach, result = max(kernel.shape), {}
    for seed, (name, scene) in enumerate(pictures(frame)):
        if name not in names:
            continue
        sharp, b = simulate(scene, kernel, noise, frame, seed)
        begun = time.perf_counter()
        solution = convop.deconvolve(b, kernel)
        row = {"blurred": scores(b, sharp, reach), "convop": scores(solution.x, sharp, reach)}
        row["convop"] |= {"seconds": time.perf_counter() - begun, "alpha": solution.alpha, "status": solution.status}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            row |= {rival: scores(x, sharp, reach) for rival, x in rivals(b, kernel, sharp)}
        if alphas:
            tried = [psnr(convop.deconvolve(b, kernel, alpha=f * solution.alpha).x, sharp) for f in FACTORS]
            row["best alpha"] = {"psnr": max(row["convop"]["psnr"], *tried)}
        result[name] = row
    return result


def against_pyproximal(b, kernel, alpha, steps):
    """The objective that convop reaches, and that PyProximal's ADMM reaches, relative to the lower."""
    import pylops
    import pyproximal
    from scipy.sparse.linalg import LinearOperator

    solution = convop.deconvolve(b, kernel, prior="tv", alpha=alpha, tol=1e-5)
    A = convop.Convolution(kernel, solution.scene.shape, mode="valid")
    D = convop.gradient(A.in_shape, dtype="float64")

    def objective(x):
        return float(0.5 * np.linalg.norm(A(x) - b) ** 2 + alpha * np.sqrt((D(x) ** 2).sum(0)).sum())

    blur = pylops.LinearOperator(LinearOperator(A.shape, A.matvec, A.rmatvec, dtype=A.dtype))
    begun = time.perf_counter()
    x = pyproximal.optimization.primal.ADMML2(
        pyproximal.L21(ndim=2, sigma=alpha), blur, b.ravel(), pylops.Gradient(A.in_shape, kind="forward"),
        x0=np.zeros(A.shape[1]), tau=np.ptp(b) / (10 * alpha), niter=steps, iter_lim=10,
    )[0]  # fmt: skip
    seconds = time.perf_counter() - begun
    ours, theirs = objective(solution.scene), objective(np.asarray(x).reshape(A.in_shape))
    return {"convop": ours, "PyProximal": theirs, "seconds of PyProximal": seconds, "gap": solution.residual_norms[-1]}


def mean(result, method, score):
    return float(np.mean([row[method][score] for row in result.values()]))


def table(results):
    """One row for each cell: PSNR / SSIM of each method, means over the pictures."""
    methods = ["blurred", "wiener", "unsupervised_wiener", "richardson_lucy", "convop"]
    rows = [["Kernel", "Noise", *methods, "with the best alpha"]]
    for (kernel, noise), result in results.items():
        cells = [f"{mean(result, m, 'psnr'):.2f} / {mean(result, m, 'ssim'):.3f}" for m in methods]
        best = f"{mean(result, 'best alpha', 'psnr'):.2f}" if "best alpha" in next(iter(result.values())) else ""
        rows.append([kernel, f"{100 * noise:g} %", *cells, best])
    return rows


def verdict(results):
    """The lead over the best rival in PSNR: least, mean; over the inside; and what the automatic alpha costs."""
    theirs = ("wiener", "unsupervised_wiener", "richardson_lucy")

    def leads(score):
        return [mean(r, "convop", score) - max(mean(r, m, score) for m in theirs) for r in results.values()]

    def line(what, values):
        return f"lead over the best of scikit-image, {what}: least {min(values):.3f}, mean {np.mean(values):.3f}"

    lines = [line("PSNR", leads("psnr")), line("PSNR inside", leads("inside")), line("SSIM", leads("ssim"))]
    costs = [
        row["best alpha"]["psnr"] - row["convop"]["psnr"]
        for result in results.values() for row in result.values() if "best alpha" in row
    ]  # fmt: skip
    if costs:
        lines.append(f"automatic alpha below the best, PSNR: most {max(costs):.2f}, mean {np.mean(costs):.2f}")
    seconds = [mean(result, "convop", "seconds") for result in results.values()]
    return [*lines, f"seconds for a picture: mean {np.mean(seconds):.1f}, most {max(seconds):.1f}"]


def figure(path):
    """A colour photograph: as it was, as it was recorded, by the best of scikit-image, by convop."""
    from matplotlib.figure import Figure
    from skimage import data

    kernel, noise = convop.psf.motion(15, 30), 0.01
    scene = data.astronaut()[:256, 90:346] / 255.0
    pairs = [simulate(scene[..., c], kernel, noise, 224, c) for c in range(3)]
    sharp, b = (np.stack([pair[which] for pair in pairs], axis=-1) for which in (0, 1))
    restored = convop.deconvolve(b, kernel, channel_axis=-1).x
    channels = [dict(rivals(b[..., c], kernel, sharp[..., c])) for c in range(3)]
    by_name = {name: np.stack([each[name] for each in channels], axis=-1) for name in channels[0]}
    name = max(by_name, key=lambda each: psnr(by_name[each], sharp))
    panels = (("original", sharp), ("recorded", b), (name, by_name[name]), ("convop.deconvolve", restored))
    drawing = Figure(figsize=(9, 2.5), dpi=100, layout="constrained")
    for ax, (title, picture) in zip(drawing.subplots(1, len(panels)), panels, strict=True):
        ax.imshow(np.clip(picture, 0, 1), interpolation="nearest")
        ax.set_title(title if picture is sharp else f"{title}: {psnr(picture, sharp):.1f} dB", fontsize=10)
        ax.set_axis_off()
    drawing.savefig(path)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one small picture, one kernel, one noise")
    parser.add_argument("--others", action="store_true", help="other pictures: cat, coins, bricks, text")
    parser.add_argument("--json", type=Path, help="where every number goes")
    parser.add_argument("--table", type=Path, help="where the table goes, as CSV")
    parser.add_argument("--figure", type=Path, help="where the picture goes, a PNG; nothing else is done then")
    options = parser.parse_args(arguments)
    if options.figure:
        figure(options.figure)
        return 0
    frame, names = (SMALL, ("camera",)) if options.quick else (FRAME, OTHERS if options.others else ADJUSTED)
    results = {}
    for name, kernel in list(kernels().items())[1 if options.quick else 0 : 2 if options.quick else None]:
        for noise in NOISES[1:2] if options.quick else NOISES:
            results[name, noise] = cell(kernel, noise, frame, names, not options.quick)
            print(*table({(name, noise): results[name, noise]})[1], sep=" | ", flush=True)
            if options.json:
                options.json.write_text(json.dumps({f"{k}, {n:g}": r for (k, n), r in results.items()}, indent=1))
    print(*verdict(results), sep="\n")
    if options.table:
        with options.table.open("w", newline="") as file:
            csv.writer(file).writerows(table(results))
    if importlib.util.find_spec("pyproximal") and not (options.quick or options.others):
        for (name, noise), result in results.items():
            scene = dict(pictures(frame))["camera"]
            b = simulate(scene, kernels()[name], noise, frame, 0)[1]
            print(name, noise, against_pyproximal(b, kernels()[name], result["camera"]["convop"]["alpha"], 200))
    return 0


if __name__ == "__main__":
    sys.exit(main())
