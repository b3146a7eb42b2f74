"""Rules for alpha: the curves they look at, and what they choose, against dense influence matrices."""

import numpy as np
import oracle
import pytest
from cases import array
from scipy.linalg import null_space
from spectrum_cases import even

import convop
from convop.solving.parameter import curves, spectra
from convop.solving.parameter.noise import estimate_noise
from convop.solving.parameter.spectra import Axes, Dense, Frequencies, spectrum_of
from convop.solving.problem import Problem
from convop.solving.task import Task


def conv(kernel, in_shape, **options):
    return convop.Convolution(kernel, in_shape, **options), oracle.convolution_matrix(kernel, in_shape, **options)


def layer(weight, in_shape, **options):
    return convop.conv_layer(weight, in_shape, **options), oracle.layer_matrix(weight, in_shape, **options)


def gradient_matrix(shape, boundary):
    """Forward differences along both axes, one below the other."""
    rows = [
        oracle.convolution_matrix(np.reshape([1.0, -1.0], taps), shape, center=center, boundary=boundary)
        for taps, center in (((2, 1), (1, 0)), ((1, 2), (0, 1)))
    ]
    return np.concatenate(rows)


PERIODIC, SYMMETRIC = {"boundary": "periodic"}, {"boundary": "symmetric"}
COMPLEX = conv(array((3, 2), "complex128", 1), (5, 6), **PERIODIC)
STRIDED = layer(array((2, 3, 3, 4), "complex128", 2), (3, 6, 8), stride=2, padding=((1, 1), (2, 1)), **PERIODIC)
WIDE = layer(array((4, 2, 3, 3), "float64", 3), (2, 4, 5), padding=1, **PERIODIC)
LENS = conv(even(array((3, 5), "float64", 4), 0, 1), (6, 7), **SYMMETRIC)
RANK_ONE = np.multiply.outer(array(4, "complex128", 5), array(3, "complex128", 6))
MASK = np.s_[1:, ::2]

# The operator, its matrix, the regularizer, its matrix, and the spectrum that serves.
PROBLEMS = {
    "complex periodic": (*COMPLEX, None, None, Frequencies),
    "strided channels": (*STRIDED, None, None, Frequencies),
    "more channels out than in": (*WIDE, None, None, Frequencies),
    "cosines": (*LENS, None, None, Frequencies),
    "cosines, gradient": (*LENS, "gradient", gradient_matrix((6, 7), "symmetric"), Frequencies),
    "complex, gradient": (*COMPLEX, "gradient", gradient_matrix((5, 6), "periodic"), Frequencies),
    "channels, complex penalty": (
        *WIDE,
        *layer(array((2, 2, 3, 2), "complex128", 7), (2, 4, 5), padding=((1, 1), (1, 0)), **PERIODIC),
        Frequencies,
    ),
    "separable": (*conv(RANK_ONE, (7, 6), boundary="mirror"), None, None, Dense),
    "masked": (
        convop.Select((6, 7), MASK) @ LENS[0],
        oracle.select_matrix((6, 7), MASK) @ LENS[1],
        None,
        None,
        Dense,
    ),
    "unknown boundary, gradient": (
        *conv(array((3, 4), "complex128", 8), (7, 8), mode="valid"),
        "gradient",
        gradient_matrix((7, 8), "symmetric"),
        Dense,
    ),
}
ALPHAS = (1e-4, 1e-2, 1.0, 30.0)


def as_task(A, b, regularizer=None, noise=None):
    problem = Problem(A, regularizer if isinstance(regularizer, convop.Operator) else named(regularizer, A))
    return Task(problem, np.asarray(b)[None], (), "auto", 1e-6, 1000, None, False, noise, None)


def named(regularizer, A):
    if regularizer is None:
        return None
    g = A.geometry
    return convop.gradient(A.in_shape, g.boundary if any(g.reads_outside(0)) else "symmetric", "float64")


class DenseCurve:
    """The same functions of alpha by formula."""

    def __init__(self, matrix, penalty, b):
        self.A, self.b, self.L = matrix, b.ravel(), penalty
        if penalty is None:
            self.left, self.values, self.right = np.linalg.svd(matrix, full_matrices=False)

    def solution(self, alpha):
        A, L = self.A, self.L
        if L is None:
            seen = self.left.conj().T @ self.b
            return self.right.conj().T @ (self.values / (self.values**2 + alpha) * seen)
        return np.linalg.solve(A.conj().T @ A + alpha * L.conj().T @ L, A.conj().T @ self.b)

    def residual(self, alpha):
        return np.linalg.norm(self.A @ self.solution(alpha) - self.b) ** 2

    def penalty(self, alpha):
        x = self.solution(alpha)
        return np.linalg.norm(x if self.L is None else self.L @ x) ** 2

    def slope(self, alpha):
        step = 1e-4 * alpha
        return (self.penalty(alpha + step) - self.penalty(alpha - step)) / (2 * step)

    def freedom(self, alpha):
        A, L = self.A, self.L
        if L is None:
            return len(A) - len(self.values) + (alpha / (self.values**2 + alpha)).sum()
        influence = A @ np.linalg.solve(A.conj().T @ A + alpha * L.conj().T @ L, A.conj().T)
        return np.trace(np.eye(len(A)) - influence).real


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("complex_data", [False, True])
def test_spectral_curves(name, complex_data):
    A, matrix, regularizer, penalty, kind = PROBLEMS[name]
    if complex_data and A.dtype.kind != "c":
        A = A * (1 + 0j)  # as the door does it
    b = array(A.out_shape, "complex128" if complex_data else A.dtype, 9)
    task = as_task(A, b, regularizer)
    spectrum = spectrum_of(task.problem)
    assert type(spectrum) is kind
    curve, want = curves.Spectral(spectrum, b, np.dtype("float64")), DenseCurve(matrix, penalty, b)
    assert curve.rows == len(matrix)
    for alpha in ALPHAS:
        assert curve.residual(alpha) == pytest.approx(want.residual(alpha), rel=1e-8, abs=1e-10)
        assert curve.penalty(alpha) == pytest.approx(want.penalty(alpha), rel=1e-8)
        assert curve.freedom(alpha) == pytest.approx(want.freedom(alpha), rel=1e-8, abs=1e-10)
        assert curve.slope(alpha) == pytest.approx(want.slope(alpha), rel=1e-5)


@pytest.mark.parametrize("options", [{"boundary": "mirror"}, {"mode": "full", "stride": (1, 2)}, {"mode": "valid"}])
def test_curves_of_separable_kernels(options):
    A, matrix = conv(RANK_ONE, (7, 6), **options)
    b = array(A.out_shape, "complex128", 9)
    curve, want = curves.Spectral(Axes(Problem(A)), b, np.dtype("float64")), DenseCurve(matrix, None, b)
    for alpha in ALPHAS:
        assert curve.residual(alpha) == pytest.approx(want.residual(alpha), rel=1e-9)
        assert curve.freedom(alpha) == pytest.approx(want.freedom(alpha), rel=1e-9)
        assert curve.slope(alpha) == pytest.approx(want.slope(alpha), rel=1e-5)


@pytest.mark.parametrize("options", [{"mode": "valid"}, {"mode": "full"}, {"boundary": "zero"}])
def test_sampled_curves(options):
    """Solves are exact to their tolerance; the trace by probes is within 3 percent at this size."""
    A, matrix = conv(convop.psf.motion(5, 30), (28, 29), **options)
    b = array(A.out_shape, "float64", 9)
    task = as_task(A, b)
    assert spectrum_of(task.problem) is None
    curve, want = curves.Sampled(task), DenseCurve(matrix, None, b)
    assert curve.ratio == pytest.approx(np.linalg.norm(matrix, 2) ** 2, rel=0.1)
    for alpha in (1.0, 1e-2, 1e-4):
        assert curve.residual(alpha) == pytest.approx(want.residual(alpha), rel=1e-3)
        assert curve.penalty(alpha) == pytest.approx(want.penalty(alpha), rel=1e-3)
        assert curve.slope(alpha) == pytest.approx(want.slope(alpha), rel=1e-3)
        assert curve.freedom(alpha) == pytest.approx(want.freedom(alpha), rel=0.03)


# What the rules choose


def smooth(shape, seed=0):
    """A picture with a few soft edges."""
    rng = np.random.default_rng(seed)
    grids = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    picture = np.zeros(shape)
    for _ in range(6):
        tilt = rng.standard_normal(len(shape))
        picture += rng.random() * np.tanh(
            20 * (sum(t * g for t, g in zip(tilt, grids, strict=True)) - rng.normal() / 3)
        )
    return picture


def noisy(A, deviation, seed=0, picture=None):
    clean = A(smooth(A.in_shape) if picture is None else picture)
    noise = array(A.out_shape, clean.dtype, seed)
    scale = deviation / (2**0.5 if clean.dtype.kind == "c" else 1)
    return clean + scale * noise


BLURS = {
    "periodic": convop.Convolution(convop.psf.gaussian(5, 1.0), (12, 14), boundary="periodic"),
    "complex": convop.Convolution(
        convop.psf.gaussian(7, 1.3) * np.exp(0.2j * np.arange(49).reshape(7, 7)), (13, 14), boundary="periodic"
    ),
    "separable": convop.Convolution(convop.psf.gaussian(4, 1.0), (13, 12), boundary="replicate"),
    "unknown boundary": convop.Convolution(convop.psf.moffat(7, 3, 2.5), (20, 19), mode="valid"),
}


def score(rule, curve, noise, alpha):
    """What is to be least."""
    m = len(curve.A)
    if rule == "gcv":
        return np.log(curve.residual(alpha) / curve.freedom(alpha) ** 2)
    if rule == "upre":
        return curve.residual(alpha) + 2 * noise**2 * (m - curve.freedom(alpha))
    # The curvature of a curve through three points close to each other: four areas over the sides.
    logs = np.log(alpha) + np.array([-0.02, 0, 0.02])
    p, q, r = (np.log([curve.residual(a), curve.penalty(a)]) / 2 for a in np.exp(logs))
    area = (q - p)[0] * (r - p)[1] - (q - p)[1] * (r - p)[0]
    return -2 * area / (np.linalg.norm(q - p) * np.linalg.norm(r - q) * np.linalg.norm(r - p))


@pytest.mark.parametrize("rule", ["gcv", "upre", "lcurve"])
@pytest.mark.parametrize("name", BLURS)
def test_rules_against_a_dense_search(rule, name):
    A, noise = BLURS[name], 0.02
    b = noisy(A, noise)
    found = convop.solve(A, b, alpha=rule, noise=noise)
    curve = DenseCurve(A.toarray(), None, b)
    grid = 10.0 ** np.arange(-7, 2, 0.05)
    scores = [score(rule, curve, noise, alpha) for alpha in grid]
    best = min(scores)
    assert 0 < np.argmin(scores) < len(grid) - 1
    assert score(rule, curve, noise, found.alpha) <= best + 1e-3 * (max(scores) - best)
    assert abs(np.log10(found.alpha / grid[np.argmin(scores)])) < 0.1
    assert "in closed form" in found.reason
    assert found.status == "converged"


@pytest.mark.parametrize("name", BLURS)
@pytest.mark.parametrize("regularizer", [None, "gradient"])
def test_discrepancy_leaves_over_the_noise(name, regularizer):
    A, noise = BLURS[name], 0.05
    b = noisy(A, noise)
    found = convop.solve(A, b, alpha="discrepancy", noise=noise, regularizer=regularizer, tol=1e-9)
    assert np.linalg.norm(A(found.x) - b) == pytest.approx(noise * b.size**0.5, rel=1e-4)


@pytest.mark.parametrize("regularizer", [None, "gradient"])
def test_rules_by_probes(regularizer, monkeypatch):
    """Where nothing is decomposed: by scores, the alphas are as good as those of a dense search."""
    monkeypatch.setattr(spectra, "SMALL", 0)
    A, noise = convop.Convolution(convop.psf.disk(2), (20, 21), mode="valid"), 0.05
    b = noisy(A, noise)
    penalty = None if regularizer is None else gradient_matrix(A.in_shape, "symmetric")
    curve = DenseCurve(A.toarray(), penalty, b)
    grid = 10.0 ** np.arange(-5, 1.1, 0.5)
    for rule in ("gcv", "upre"):
        found = convop.solve(A, b, alpha=rule, noise=noise, regularizer=regularizer)
        assert "random probes" in found.reason
        scores = [score(rule, curve, noise, alpha) for alpha in grid]
        assert score(rule, curve, noise, found.alpha) <= min(scores) + 0.03 * (max(scores) - min(scores))
    found = convop.solve(A, b, alpha="discrepancy", noise=noise, regularizer=regularizer)
    assert np.linalg.norm(A(found.x) - b) == pytest.approx(noise * b.size**0.5, rel=1e-3)
    assert "probes" not in found.reason  # no trace was asked for


def test_each_item_of_a_batch_has_its_own_alpha():
    A = BLURS["complex"]
    batch = np.stack([noisy(A, deviation, seed) for seed, deviation in enumerate((0.01, 0.3, 0.05))])
    batch = batch.reshape(3, 1, *A.out_shape)
    for rule in (None, "gcv", "lcurve", "discrepancy"):
        together = convop.solve(A, batch, alpha=rule)
        assert together.alpha.shape == (3, 1)
        for index in range(3):
            alone = convop.solve(A, batch[index, 0], alpha=rule)
            assert alone.alpha == pytest.approx(together.alpha[index, 0])
            assert isinstance(alone.alpha, float)
            assert np.allclose(alone.x, together.x[index, 0])
    assert together.alpha[1, 0] > together.alpha[2, 0] > together.alpha[0, 0]


def test_single_precision_stays():
    A = convop.Convolution(np.float32(convop.psf.gaussian(5, 1.0)), (12, 14), boundary="periodic")
    b = np.float32(noisy(A, 0.05))
    for rule in ("gcv", "lcurve", "upre", "discrepancy", None):
        found = convop.solve(A, b, alpha=rule)
        wide = convop.solve(convop.Convolution(A.kernel.astype(float), (12, 14), boundary="periodic"), b, alpha=rule)
        assert found.x.dtype == "float32"
        assert found.alpha == pytest.approx(wide.alpha, rel=0.02)


# What is taken where nothing is asked for


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "the discrepancy principle, in closed form, noise of"),
        ({"noise": 0.05}, "the discrepancy principle, in closed form"),
        ({"regularizer": "gradient"}, "generalised cross-validation"),
        ({"regularizer": "gradient", "noise": 0.05}, "unbiased predictive risk"),
        ({"prior": "tv"}, "discrepancy principle, by solving for one alpha after the other, noise of 0.05"),
        ({"nonneg": True}, "as if there were no bound"),
        ({"prior": "truncated"}, "discrepancy principle"),
        ({"prior": "poisson"}, "no penalty"),
    ],
)
def test_none_picks_a_rule_and_says_which(options, said):
    A = BLURS["periodic"]
    picture = smooth(A.in_shape) - smooth(A.in_shape).min() + 0.1
    found = convop.solve(A, np.abs(noisy(A, 0.05, picture=picture)), **options)
    assert said in found.reason
    assert (found.alpha == 0) == (options.get("prior") == "poisson")


@pytest.mark.parametrize("deviation", [0.01, 0.1])
def test_none_is_near_the_best_alpha(deviation):
    A = convop.Convolution(convop.psf.disk(2), (36, 38), mode="valid")
    picture = smooth(A.in_shape)
    b = noisy(A, deviation, picture=picture)

    def decibels(alpha, regularizer):
        x = convop.solve(A, b, alpha=alpha, regularizer=regularizer).x
        return -20 * np.log10(np.linalg.norm((x - picture)[2:-2, 2:-2]))

    for regularizer, loss in ((None, 2.0), ("gradient", 0.5)):
        best = max(decibels(alpha, regularizer) for alpha in 10.0 ** np.arange(-3.0, 0.1, 0.75))
        assert decibels(None, regularizer) > best - loss
    assert decibels(None, None) > decibels("gcv", None) + 1


def test_clean_data():
    """Least squares where nothing speaks for noise: random signals; where data are smooth, what rounding leaves."""
    A = convop.Convolution(array((3, 3), seed=3), (16, 18), boundary="periodic")
    x = array(A.in_shape, seed=4)
    found = convop.solve(A, A(x))
    assert "the smallest alpha" in found.reason
    assert np.linalg.norm(found.x - x) < 1e-3 * np.linalg.norm(x)
    A, x = BLURS["periodic"], smooth((12, 14))
    found = convop.solve(A, A(x))
    assert np.linalg.norm(found.x - x) < 0.2 * np.linalg.norm(x)
    found = convop.solve(A, A(x), regularizer="gradient")
    assert "smallest alpha" in found.reason or "saw no noise" in found.reason or found.alpha < 1e-6


def test_ends_of_the_search_are_told():
    A = BLURS["periodic"]
    b = noisy(A, 0.05)
    loud = convop.solve(A, b, alpha="discrepancy", noise=1e3)
    assert "the largest was taken" in loud.reason
    quiet = convop.solve(
        convop.Convolution(convop.psf.disk(2), (20, 22), mode="full"), array((24, 26)), alpha="discrepancy", noise=1e-9
    )
    assert "the smallest was taken" in quiet.reason
    zero = convop.solve(A, np.zeros(A.out_shape), alpha="gcv")
    assert (zero.x == 0).all()
    assert "even the largest alpha leaves nothing over" in zero.reason
    both = convop.solve(A, np.stack([b, 0 * b, b]), alpha="discrepancy", noise=0.05)
    assert "the largest was taken (1 of 3 items)" in both.reason


# Truncation


@pytest.mark.parametrize("name", [name for name in PROBLEMS if PROBLEMS[name][2] is None])
def test_truncated_singular_values(name):
    A, matrix, *_ = PROBLEMS[name]
    b = array((2, *A.out_shape), "complex128", 9)
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    for alpha in (np.median(values) ** 2, 0.0):
        kept = (values**2 >= alpha) & (values > 1e-10 * values[0])
        want = (b.reshape(2, -1) @ left[:, kept].conj() / values[kept]) @ right[kept].conj()
        found = convop.solve(A, b, alpha=alpha, prior="truncated")
        assert found.method == "truncated"
        assert f"{kept.sum()} of {A.shape[1]} directions" in found.reason
        assert oracle.error(found.x.reshape(2, -1), want) < 1e-9


def test_truncated_with_a_regularizer():
    """Directions along which a penalty is zero are kept under every alpha."""
    A, matrix = LENS
    b = array(A.out_shape, "float64", 9)
    found = convop.solve(A, b, alpha=1e9, prior="truncated", regularizer="gradient")
    (constant,) = null_space(gradient_matrix(A.in_shape, "symmetric")).T
    image = matrix @ constant
    assert np.allclose(found.x.ravel(), constant * (image @ b.ravel()) / (image @ image))


@pytest.mark.parametrize("rule", ["gcv", "upre", "discrepancy"])
def test_rules_for_truncation(rule):
    A, noise = BLURS["periodic"], 0.05
    b = noisy(A, noise)
    left, values, _ = np.linalg.svd(A.toarray())
    power, m = (left.T @ b.ravel()) ** 2, b.size
    count = np.arange(1, m)
    rest = power.sum() - np.cumsum(power)[:-1]
    scores = {"gcv": rest / (m - count) ** 2, "upre": rest + 2 * noise**2 * count, "discrepancy": rest}
    found = convop.solve(A, b, alpha=rule, noise=noise, prior="truncated")
    kept = int((values**2 >= found.alpha).sum())
    if rule == "discrepancy":
        assert scores[rule][kept - 1] >= 0.97 * noise**2 * m
        assert scores[rule][kept + 7] <= 1.03 * noise**2 * m
    else:
        assert np.log(scores[rule][kept - 1] / scores[rule].min()) < 0.02


# Noise, and estimates that are not linear in the data


@pytest.mark.parametrize("shape", [(4000,), (80, 90), (20, 24, 22)])
@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_noise_is_seen(shape, dtype):
    A = convop.Convolution(np.ones((3,) * len(shape), dtype) / 3 ** len(shape), shape)
    clean = smooth(shape).astype(dtype)
    assert estimate_noise(noisy(A, 0.1, picture=clean), A) == pytest.approx(0.1, rel=0.06)


def test_noise_where_data_are_saturated():
    A = convop.Convolution(np.ones((3, 3)) / 9, (80, 90))
    b = noisy(A, 0.1, picture=smooth(A.in_shape))
    dark = np.where(np.arange(90) < 60, 0.0, b)  # two thirds of the frame hold nothing
    assert estimate_noise(dark, A) == pytest.approx(0.1, rel=0.1)
    assert estimate_noise(np.zeros(A.out_shape), A) == 0


def test_noise_of_channels_is_along_the_grid():
    A = convop.conv_layer(array((3, 3, 3, 3)), (3, 60, 62), padding=1)
    levels = np.array([0.0, 50.0, -20.0])[:, None, None]  # differences between channels are no noise
    assert estimate_noise(levels + 0.1 * array((3, 60, 62)), A) == pytest.approx(0.1, rel=0.06)
    tiny = convop.Convolution([1.0, 2.0], 2, boundary="periodic")
    with pytest.raises(convop.GeometryError, match="too few"):
        convop.solve(tiny, [1.0, 2.0], alpha="upre")


@pytest.mark.parametrize(
    "options", [{"prior": "tv"}, {"prior": "l1"}, {"nonneg": True}, {"prior": "tv", "nonneg": True}]
)
def test_discrepancy_by_solving(options):
    A, noise = BLURS["unknown boundary"], 0.05
    b = noisy(A, noise, picture=smooth(A.in_shape) - smooth(A.in_shape).min())
    found = convop.solve(A, b, alpha="discrepancy", noise=noise, **options)
    assert np.linalg.norm(A(found.x) - b) == pytest.approx(noise * b.size**0.5, rel=0.03)
    assert "by solving for one alpha after the other" in found.reason


def test_the_last_solve_is_as_tight_as_was_asked_for():
    A, seen = BLURS["periodic"], []
    b = noisy(A, 0.05)
    found = convop.solve(
        A,
        b,
        alpha="discrepancy",
        noise=0.05,
        prior="tv",
        tol=1e-7,
        callback=lambda progress: seen.append(progress.iteration),
    )
    assert found.status == "converged"
    assert found.residual_norms[-1] <= 1e-7
    assert len(seen) > 0
    again = convop.solve(A, b, alpha=found.alpha, prior="tv", tol=1e-7)
    assert np.allclose(found.x, again.x, atol=1e-3)


def test_discrepancy_of_nothing_but_noise():
    """No alpha leaves over more than there is; the search ends when the residual does."""
    A = BLURS["periodic"]
    b = np.stack([noisy(A, 0.05), array(A.out_shape, seed=3)])
    found = convop.solve(A, b, alpha="discrepancy", noise=3.0, prior="tv", tol=1e-3)
    assert "less than the noise is left over, whatever alpha" in found.reason
    flat = found.x - found.x.mean((-2, -1), keepdims=True)
    assert abs(flat).max() < 0.05


def test_items_of_a_batch_are_judged_one_by_one():
    A = BLURS["periodic"]
    b = np.stack([array(A.out_shape, seed=3), noisy(A, 0.05)])
    together, alone = convop.solve(A, b), [convop.solve(A, each) for each in b]
    assert np.allclose(together.alpha, [each.alpha for each in alone])
    assert np.allclose(together.x, [each.x for each in alone])
    assert "for others alpha by generalised cross-validation" in together.reason


def test_rules_that_make_no_sense_are_refused():
    A = BLURS["periodic"]
    b = noisy(A, 0.05)
    for rule, prior in (("gcv", "tv"), ("lcurve", "l1"), ("upre", "poisson"), ("lcurve", "truncated")):
        with pytest.raises(convop.GeometryError, match="no rule for prior"):
            convop.solve(A, b, alpha=rule, prior=prior)
    with pytest.raises(convop.GeometryError, match="Poisson's grows"):
        convop.solve(A, b, alpha="discrepancy", prior="poisson")
    with pytest.raises(convop.GeometryError, match="'gcv', 'lcurve', 'upre', 'discrepancy'"):
        convop.solve(A, b, alpha="magic")
    large = convop.Convolution(convop.psf.disk(2), (40, 42), mode="valid")
    with pytest.raises(convop.GeometryError, match="needs the singular values"):
        convop.solve(large, array(large.out_shape), prior="truncated", alpha=1e-3)
