"""Singular values, norms and condition numbers against dense decompositions, published closed forms and torch."""

import numpy as np
import oracle
import pytest
import scipy.sparse as sp
from cases import CASES, array
from spectrum_cases import CLOSED, WITHOUT, even

import convop
from convop.spectrum import block_values, forms, lanczos

DENSE = {**CLOSED, **WITHOUT, **{f"case {case.name}": (case.operator, case.matrix) for case in CASES}}
SEPARABLE = {
    f"separable, {boundary}": (
        convop.Convolution(kernel, (5, 6), boundary=boundary, center=(0, 1), stride=(1, 2)),
        oracle.convolution_matrix(kernel, (5, 6), boundary=boundary, center=(0, 1), stride=(1, 2)),
    )
    for kernel in [np.outer(array((3,), "complex128"), array((2,), "complex128", 1))]
    for boundary in oracle.BOUNDARIES
}
WEIGHT = np.multiply.outer(array((4, 3), "complex128"), np.outer(array((3,)), array((2,), seed=1)))
SEPARABLE["separable layer"] = (
    convop.conv_layer(WEIGHT, (3, 5, 4), padding=1, stride=2),
    oracle.layer_matrix(WEIGHT, (3, 5, 4), padding=1, stride=2),
)
DEPTHWISE = array((3, 1, 3, 3), "complex128")
UNLIKE = array((7, 5), "complex128")
MADE = {
    "depthwise, separable": (
        convop.conv_layer(np.broadcast_to(WEIGHT[:3, :1], (3, 1, 3, 2)), (3, 5, 4), padding=1, groups=3),
        oracle.layer_matrix(np.broadcast_to(WEIGHT[:3, :1], (3, 1, 3, 2)), (3, 5, 4), padding=1, groups=3),
    ),
    "depthwise, zero boundary": (
        convop.conv_layer(DEPTHWISE, (3, 5, 4), padding=1, groups=3),
        oracle.layer_matrix(DEPTHWISE, (3, 5, 4), padding=1, groups=3),
    ),
    "diagonal of unlike blocks": (
        convop.block_diag([SEPARABLE["separable, mirror"][0], convop.Diagonal([1j, 2]), convop.Select(5, [1, 3])]),
        None,
    ),
    "rows of zeros": (convop.as_operator(sp.csr_array((4, 6))), np.zeros((4, 6))),
    "between isometries": (
        convop.Product(
            (
                convop.Diagonal([2, 2j, -2, 2]),
                convop.Convolution(array((3,)), 4, boundary="periodic"),
                convop.Select(7, [0, 2, 3, 6]),
            )
        ),
        None,
    ),
    "antireflective extension": (convop.Extend((4, 3), 2, "antireflective", "float64"), None),
    "copies fewer than samples": (convop.Unfold((2, 7, 6), 2, stride=4), None),
    "tall matrix": (convop.as_operator(UNLIKE), UNLIKE),
    "conjugate transpose of a matrix": (2j * convop.as_operator(UNLIKE).H, 2j * UNLIKE.conj().T),
    "flat product": (convop.as_operator(UNLIKE[:, :5]) @ convop.Convolution(array((2,)), 5, boundary="periodic"), None),
}
ALL = {**DENSE, **SEPARABLE, **MADE}


def double(matrix):
    return matrix.astype(np.result_type(matrix.dtype, np.float64))


def rounding(A, want):
    """What the operator's own type leaves of the largest value; the dense matrix is rounded to it too."""
    return 200 * np.finfo(A.dtype).eps * want[0] + np.finfo(np.float64).tiny


@pytest.mark.parametrize("name", ALL)
def test_every_kind_against_the_dense_decomposition(name):
    A, matrix = ALL[name]
    want = np.linalg.svd(double(A.toarray() if matrix is None else matrix), compute_uv=False)
    got = convop.svdvals(A)
    assert got.shape == (min(A.shape),)
    assert got.dtype == np.finfo(A.dtype).dtype
    assert np.abs(got - want).max() <= rounding(A, want)
    assert np.all(np.diff(got) <= 0)
    assert abs(convop.norm(A) - want[0]) <= rounding(A, want)
    few = min(2, len(want))
    assert np.abs(convop.svdvals(A, few) - want[:few]).max() <= rounding(A, want)


@pytest.mark.parametrize("name", [name for name in ALL if ALL[name][0].shape[0] * ALL[name][0].shape[1] < 4000])
def test_condition_numbers(name):
    A, matrix = ALL[name]
    want = np.linalg.svd(double(A.toarray() if matrix is None else matrix), compute_uv=False)
    got = convop.cond(A)
    if want[-1] > 1e-4 * want[0]:
        assert got == pytest.approx(want[0] / want[-1], rel=1e-2 if A.dtype.itemsize < 8 or A.dtype == "c8" else 1e-8)
    else:
        assert got > 1e3  # inf, or what rounding makes of it


def test_forms_are_found_where_they_should_be():
    for name in [*CLOSED, *SEPARABLE]:
        form = convop.spectrum.form(ALL[name][0])
        assert form.exact
        assert form.reason == ""
        assert str(form).startswith("closed form")
    for name in (
        "zero boundary",
        "symmetric, uneven kernel",
        "masked",
        "weighed",
        "matrix",
        "depthwise, zero boundary",
    ):
        form = convop.spectrum.form(ALL[name][0])
        assert not form.exact
        assert form.reason in str(form)
        assert "no closed form" in repr(form)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("layer", "3 x 2 block at each frequency of DFT x DFT"),
        ("symmetric", "a number at each frequency of DCT-II x DCT-II"),
        ("separable, zero", "axis 0 5 x 5, axis 1 3 x 6"),
        ("separable layer", "channels 4 x 3"),
        ("depthwise, separable", "groups of channels"),
        ("between isometries", "2 times, between isometries"),
        ("zero", "maps everything to zero"),
        ("identity", "the identity"),
        ("copies fewer than samples", "how often each sample is copied"),
        ("diagonal of unlike blocks", "direct sum of 3"),
    ],
)
def test_the_form_is_told(name, told):
    assert told in str(convop.spectrum.form(ALL[name][0]))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("zero boundary", "axis 0 reads outside with boundary 'zero'"),
        ("symmetric, uneven kernel", "not symmetric about its centre"),
        ("symmetric, strided", "3 outputs with stride 2 of 6 samples"),
        ("periodic, stride that does not divide", "3 outputs with stride 2 of 5 samples"),
        ("different transforms", "another basis"),
        ("weighed", "Diagonal"),
    ],
)
def test_the_reason_for_none_is_told(name, reason):
    made = {
        "different transforms": convop.Sum(
            (CLOSED["real symmetric"][0], convop.Convolution([[1.0, 2.0]], (4, 6), boundary="periodic"))
        ),
        "symmetric, strided": convop.Convolution(even(array((3, 3)), 0, 1), (6, 4), boundary="symmetric", stride=2),
    }
    A = made[name] if name in made else WITHOUT[name][0]
    assert reason in convop.spectrum.form(A).reason


# Published closed forms


def test_second_difference_matrices():
    """G. Strang, "The Discrete Cosine Transform": eigenvalues 2 - 2 cos(theta) of the second differences."""
    n, second = 12, [-1.0, 2.0, -1.0]
    angles = {
        "zero": np.arange(1, n + 1) * np.pi / (n + 1),  # DST-I
        "symmetric": np.arange(n) * np.pi / n,  # DCT-II
        "periodic": 2 * np.arange(n) * np.pi / n,  # DFT
    }
    for boundary, theta in angles.items():
        want = np.sort(2 - 2 * np.cos(theta))[::-1]
        assert np.allclose(convop.svdvals(convop.Convolution(second, n, boundary=boundary)), want, atol=1e-14)


def test_condition_of_the_five_point_laplacian():
    n = 9
    h = np.pi / (n + 1)
    A = convop.laplacian((n, n), boundary="zero", dtype="float64")
    assert convop.cond(A) == pytest.approx(np.sin(n * h / 2) ** 2 / np.sin(h / 2) ** 2)
    assert convop.cond(convop.laplacian((n, n), dtype="float64")) == np.inf


def test_haar_blocks_are_orthogonal():
    haar = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]).reshape(4, 1, 2, 2) / 2
    A = convop.conv_layer(haar, (1, 6, 8), stride=2)
    assert np.allclose(convop.svdvals(A), 1, atol=1e-15)
    assert convop.cond(A) == pytest.approx(1)


def test_the_kernel_of_mirrors():
    A = convop.Convolution([1, 2, 5, 2, 1], 9, boundary="mirror")
    assert round(convop.norm(A), 3) == 11.149


def test_a_layer_against_torch():
    torch = pytest.importorskip("torch")
    weight = array((6, 4, 3, 3))
    A = convop.conv_layer(weight, (4, 8, 10), padding=1, boundary="periodic")
    kernel = np.zeros((6, 4, 8, 10))
    kernel[..., :3, :3] = weight
    blocks = torch.fft.fft2(torch.from_numpy(kernel)).permute(2, 3, 0, 1)
    want = torch.linalg.svdvals(blocks).numpy().ravel()
    assert np.allclose(convop.svdvals(A), np.sort(want)[::-1], rtol=1e-12)
    matrix = torch.from_numpy(A.toarray())
    assert np.allclose(convop.svdvals(A), torch.linalg.svdvals(matrix).numpy(), rtol=1e-12)


# What is zero, singular, or too large


def test_zero_operators():
    for A in (0 * convop.Select(5, [1, 2]), convop.Convolution([0.0, 0.0], 4, boundary="replicate")):
        assert not convop.svdvals(A).any()
        assert convop.norm(A) == 0
        assert convop.cond(A) == np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
def test_singular_operators_have_infinite_condition(dtype):
    kernel = np.array([1, -1], dtype)
    for boundary in ("periodic", "symmetric"):
        assert convop.cond(convop.Convolution(kernel, 7, boundary=boundary, center=0)) == np.inf
    nearly = convop.Convolution(np.array([1, -1 + 2**-20], dtype), 8, boundary="periodic")
    assert convop.cond(nearly) == pytest.approx((2 - 2.0**-20) * 2.0**20, rel=1e-6)  # computed in double


@pytest.mark.parametrize(("k", "error"), [(0, "at least 1"), (7, "6 singular values"), (1.5, "integer")])
def test_bad_counts(k, error):
    with pytest.raises(convop.GeometryError, match=error):
        convop.svdvals(convop.as_operator(array((8, 6))), k)


def test_all_values_of_what_is_too_large():
    A = convop.Convolution(array((3, 3)), (300, 300))
    with pytest.raises(convop.MemoryBudgetError, match=r"svdvals\(A, k\)"):
        convop.svdvals(A, max_bytes=10**6)
    with pytest.raises(convop.MemoryBudgetError, match="norm_bounds"):
        convop.cond(A, max_bytes=10**6)


def test_affine_maps_are_refused():
    with pytest.raises(convop.NotLinearError, match="homogeneous"):
        convop.norm(convop.Affine(convop.Identity(3), [1.0, 2.0, 3.0]))


# Lanczos


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("turned", [False, True])
def test_lanczos_finds_the_largest(dtype, turned):
    kernel = array((3, 4), dtype)
    A = convop.Convolution(kernel, (15, 17), boundary="mirror", stride=(1, 1))
    S = convop.Select(A.in_shape, np.s_[:, 1:])
    A = A @ S.H if turned else S @ A
    assert min(A.shape) > lanczos.DENSE
    want = np.linalg.svd(double(A.toarray()), compute_uv=False)
    assert np.allclose(convop.svdvals(A, 4), want[:4], rtol=1e-6 if dtype == "float32" else 1e-12)
    assert convop.norm(A) == pytest.approx(want[0], rel=1e-6 if dtype == "float32" else 1e-12)


def test_lanczos_misses_nothing_that_the_beginning_is_orthogonal_to():
    """The largest value belongs to a sample that the wave of the convolution does not single out."""
    weights = np.ones((16, 16))
    weights[3, 5] = 50
    A = convop.Convolution(array((3, 3)), (16, 16)) @ convop.Diagonal(weights)
    assert convop.norm(A) == pytest.approx(np.linalg.norm(A.toarray(), 2), rel=1e-12)


def test_lanczos_of_a_black_box():
    matrix = array((220, 230), "complex128")
    A = convop.as_operator(
        forward=lambda x: matrix @ x, adjoint=lambda y: matrix.conj().T @ y, in_shape=230, out_shape=220, dtype=complex
    )
    assert convop.norm(A) == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-12)


def test_lanczos_of_nothing():
    for shape in ((300, 250), (250, 300)):
        assert convop.norm(convop.as_operator(np.zeros(shape))) == 0


def test_long_factors_are_iterated_on(monkeypatch):
    kernel = np.outer(array((3,), "complex128"), array((4,), "complex128", 1))
    A = convop.Convolution(kernel, (40, 46))
    want, all_of_them = convop.svdvals(A, 5), convop.svdvals(A)
    monkeypatch.setattr(forms, "SMALL", 10)
    monkeypatch.setattr(lanczos, "DENSE", 10)
    assert np.allclose(convop.svdvals(A, 5), want, rtol=1e-9)
    assert convop.norm(A) == pytest.approx(want[0], rel=1e-9)
    assert np.array_equal(convop.svdvals(A), all_of_them)
    bounds = convop.norm_bounds(A)  # an iteration proves nothing, so the symbol bounds it
    assert bounds.lower <= want[0] <= bounds.upper
    assert bounds.width > 1e-9
    several = convop.svdvals(convop.block_diag([A, 2 * A, convop.Identity(3)]), 4)
    both = np.sort(np.concatenate([want, 2 * want, np.ones(3)]))[::-1][:4]
    assert np.allclose(several, both, rtol=1e-9)


def test_one_axis_is_no_product():
    assert not convop.spectrum.form(convop.Convolution(array((3,)), 8)).exact


# The largest of many blocks


def blocks_of(kind, rng):
    shape = (90, 8, 8)
    random = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    if kind == "random":
        return random
    u, s, vh = np.linalg.svd(random)
    if kind == "all orthogonal":
        return u @ vh
    if kind == "one barely largest":
        s = np.ones_like(s)
        s[57, 3] += 1e-9
    if kind == "rank one":
        s[:, 1:] = 0
    if kind == "of many sizes":
        s *= 10.0 ** rng.uniform(-30, 0, (90, 1))
    return (u * s[:, None]) @ vh


@pytest.mark.parametrize("kind", ["random", "all orthogonal", "one barely largest", "rank one", "of many sizes"])
@pytest.mark.parametrize("part", ["square", "tall", "wide", "real"])
@pytest.mark.parametrize("scale", [1e-200, 1, 1e200])
def test_the_largest_of_many_blocks(kind, part, scale):
    blocks = scale * blocks_of(kind, np.random.default_rng(3))
    blocks = {"square": blocks, "tall": blocks[..., :5], "wide": blocks[:, :5], "real": blocks.real.copy()}[part]
    want = np.linalg.svd(blocks, compute_uv=False).max()
    assert block_values.largest(np.ascontiguousarray(blocks)) == pytest.approx(want, rel=1e-14)


def test_the_largest_is_found_where_a_sample_sees_nothing():
    blocks = np.zeros((200, 3, 3), complex)
    blocks[101] = 1e-300 * np.eye(3)
    assert block_values.largest(blocks) == pytest.approx(1e-300)
    assert block_values.largest(0 * blocks) == 0
    blocks[0], blocks[101] = np.eye(3), 1e60 * np.eye(3)  # beyond what single precision holds
    assert block_values.largest(blocks) == pytest.approx(1e60)


def test_blocks_shared_among_threads():
    blocks = array((500, 24, 24), "complex128")
    want = np.linalg.svd(blocks, compute_uv=False)
    assert np.array_equal(block_values.every(blocks), want)
    assert block_values.largest(blocks) == pytest.approx(want.max(), rel=1e-14)


def test_large_images_in_seconds():
    A = convop.conv_layer(array((8, 8, 3, 3)), (8, 128, 128), padding=1, boundary="periodic")
    largest = convop.norm(A)
    assert convop.svdvals(A, 1)[0] == pytest.approx(largest, rel=1e-13)
    lens = convop.Convolution(even(array((5, 5)), 0, 1), (400, 300), boundary="symmetric")
    values = convop.svdvals(lens)
    assert values.shape == (120_000,)
    x = array(lens.in_shape)
    assert np.linalg.norm(lens(x)) <= values[0] * np.linalg.norm(x)
    assert np.sum(values**2) == pytest.approx(sp.linalg.norm(lens.tosparse()) ** 2, rel=1e-10)
