"""`solve` and `deconvolve` on torch tensors: numpy's answers, and gradients that finite differences confirm."""

import subprocess
import sys

import numpy as np
import oracle
import pytest
import scipy.fft
from cases import array

import convop

torch = pytest.importorskip("torch")

from convop.interop.torch.solving.transforms import cosine  # noqa: E402

COMPLEX = "ignore:Complex modules are a new feature:UserWarning"
pytestmark = pytest.mark.filterwarnings(COMPLEX)


def blur(shape, dtype, **options):
    """A convolution with a kernel of norm 1, so that alpha means the same for all."""
    taps, grid = shape
    h = array(taps, dtype, 3)
    return convop.Convolution(h / np.linalg.norm(h), grid, **options)


def layer(dtype):
    weight = array((2, 3, 3, 2), dtype, 4)
    return convop.conv_layer(weight / np.linalg.norm(weight), (3, 6, 7), padding=1)


PLANE = (4, 3), (12, 11)
# A name, the operator of a type, and the methods that serve it without and with a penalty of differences.
PROBLEMS = {
    "valid": (lambda dtype: blur(PLANE, dtype, mode="valid"), "frame", "frame"),
    "valid line": (lambda dtype: blur(((4,), (13,)), dtype, mode="valid"), "frame", "frame"),
    "valid volume": (lambda dtype: blur(((2, 3, 2), (5, 6, 4)), dtype, mode="valid"), "frame", "frame"),
    "full": (lambda dtype: blur(PLANE, dtype, mode="full"), "pinned", "krylov"),
    "full line": (lambda dtype: blur(((4,), (13,)), dtype, mode="full"), "pinned", "krylov"),
    "periodic": (lambda dtype: blur(PLANE, dtype, boundary="periodic"), "diagonal", "diagonal"),
    "periodic, strided": (
        lambda dtype: blur(((4, 3), (12, 9)), dtype, boundary="periodic", stride=(2, 3)), "diagonal", "diagonal",
    ),
    "symmetric": (
        lambda dtype: convop.Convolution(np.outer([1, 3, 1], [1, 2, 1]).astype(dtype) / 15, (12, 11),
                                         boundary="symmetric"), "diagonal", "diagonal",
    ),
    "zero": (lambda dtype: blur(PLANE, dtype), "krylov", "krylov"),
    "mirror": (lambda dtype: blur(PLANE, dtype, boundary="mirror"), "krylov", "krylov"),
    "zero, strided": (lambda dtype: blur(PLANE, dtype, stride=2), "krylov", "krylov"),
    "layer": (layer, "krylov", "krylov"),
    "frames": (
        lambda dtype: convop.vstack([blur(PLANE, dtype, mode="valid"), blur(((3, 4), (12, 11)), dtype, mode="valid")]),
        "frame", "frame",
    ),
    "masked": (
        lambda dtype: convop.Select((12, 11), np.arange(132).reshape(12, 11) % 3 > 0) @ blur(PLANE, dtype),
        "krylov", "krylov",
    ),
}  # fmt: skip
DTYPES = ("complex128", "float64")


def relative(got, want):
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


@pytest.mark.parametrize(
    ("dtype", "data", "penalty"),
    [
        ("complex128", "complex128", None), ("float64", "float64", None), ("float64", "complex128", "gradient"),
        ("complex128", "float64", "gradient"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", PROBLEMS)
def test_is_numpys_solution(name, penalty, dtype, data):
    make, *methods = PROBLEMS[name]
    A = make(dtype)
    b = array((2, 3, *A.out_shape), data, 5)
    options = {"alpha": 0.05, "regularizer": penalty, "tol": 1e-13}
    got = convop.solve(A, torch.from_numpy(b), **options)
    assert got.method == methods[penalty is not None]
    assert got.x.dtype == torch.promote_types(getattr(torch, dtype), getattr(torch, data))
    want = convop.solve(A, b, **options)
    assert relative(got.x.numpy(), want.x) <= 1e-10
    assert got.residual_norms[-1] <= 1e-12
    if penalty is None:
        assert torch.is_tensor(got.error_bound)
        assert (got.error_bound.numpy() <= 1e-10).all()
    else:
        assert got.error_bound.isnan().all()


@pytest.mark.parametrize(("mode", "boundary"), [("valid", "zero"), ("full", "zero"), ("same", "mirror")])
def test_is_the_dense_solution(mode, boundary):
    h, b = array((3, 2), "complex128", 1), array((2, 1), "complex128", 1)
    matrix = oracle.convolution_matrix(h, (6, 5), mode, boundary)
    A = convop.Convolution(h, (6, 5), mode=mode, boundary=boundary)
    b = array((2, *A.out_shape), "complex128", 2)
    want = np.linalg.solve(matrix.conj().T @ matrix + 0.3 * np.eye(30), matrix.conj().T @ b.reshape(2, -1).T).T
    got = convop.solve(A, torch.from_numpy(b), alpha=0.3, tol=1e-13).x.numpy()
    assert relative(got.reshape(2, -1), want) <= 1e-11


@pytest.mark.parametrize("name", ["valid", "full", "periodic", "mirror"])
def test_float32_stays_float32(name):
    A = PROBLEMS[name][0]("float32")
    b = array(A.out_shape, "float32", 5)
    got, want = convop.solve(A, torch.from_numpy(b), alpha=0.1, tol=1e-5), convop.solve(A, b, alpha=0.1, tol=1e-5)
    assert got.x.dtype == torch.float32
    assert got.status == "converged"
    assert relative(got.x.numpy(), want.x) <= 1e-4
    double = convop.solve(A, torch.from_numpy(b).double(), alpha=0.1, tol=1e-11)  # float32 kernel, double data
    assert double.x.dtype == torch.float64
    assert relative(double.x.numpy(), convop.solve(A, b.astype("d"), alpha=0.1, tol=1e-11).x) <= 1e-8


@pytest.mark.parametrize("name", ["periodic", "symmetric", "zero"])
def test_plain_least_squares_is_of_least_norm(name):
    A = PROBLEMS[name][0]("complex128") if name != "zero" else convop.Convolution([1.0, -1.0], 9)
    if name == "periodic":
        A = convop.Convolution([1.0, -1.0, 0.5j - 0.5j], 8, boundary="periodic")  # singular: constants are lost
    b = array((2, *A.out_shape), "complex128", 6)
    got = convop.solve(A, torch.from_numpy(b), alpha=0, tol=1e-12).x.numpy()
    want = (np.linalg.pinv(A.toarray()) @ b.reshape(2, -1).T).T
    assert relative(got.reshape(2, -1), want) <= 1e-8


GRADED = {
    "frame": lambda dtype: blur(((3, 2), (6, 5)), dtype, mode="valid"),
    "pinned": lambda dtype: blur(((3, 2), (5, 4)), dtype, mode="full"),
    "diagonal": lambda dtype: blur(((3, 2), (5, 4)), dtype, boundary="periodic"),
    "krylov": lambda dtype: blur(((3, 2), (5, 4)), dtype, boundary="mirror"),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("method", GRADED)
def test_gradients(method, dtype):
    A = GRADED[method](dtype)
    module = convop.to_torch(A, trainable=True)
    kernel = module.operator.kernel
    b = torch.from_numpy(array((2, *A.out_shape), dtype, 7)).requires_grad_()
    alpha = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert convop.solve(module, b, alpha=alpha).method == method

    def solved(b, alpha):
        return convop.solve(module, b, alpha=alpha, tol=1e-11).x

    options = {"eps": 1e-4, "atol": 1e-6, "rtol": 1e-5, "fast_mode": True}
    assert torch.autograd.gradcheck(solved, (b, alpha), **options)
    x = solved(b, alpha)
    g = torch.from_numpy(array(x.shape, dtype, 8))
    (gradient,) = torch.autograd.grad(x, kernel, g)

    def along(direction, step):
        with torch.no_grad():
            kernel.add_(step * direction)
            value = solved(b, alpha)
            kernel.sub_(step * direction)
        return float((g.conj() * value).real.sum())

    for seed in (9, 10, 11):
        direction = torch.from_numpy(array(kernel.shape, dtype, seed))
        slope = (along(direction, 1e-4) - along(direction, -1e-4)) / 2e-4
        assert abs(slope - float((gradient.conj() * direction).real.sum())) <= 1e-6 * float(gradient.norm())


def test_gradients_by_a_trained_penalty_and_an_offset():
    A, D = blur(((3, 2), (6, 5)), "float64", mode="valid"), blur(((2, 2), (6, 5)), "float64", boundary="mirror")
    L = convop.to_torch(D, trainable=True)
    affine = convop.to_torch(convop.Affine(A, array(A.out_shape, "float64", 1)), trainable=True)
    b = torch.from_numpy(array(A.out_shape, "float64", 2))

    def solved(kernel, offset):
        with torch.no_grad():
            L.operator.kernel.copy_(kernel)
            affine.offset.copy_(offset)
        return convop.solve(affine, b, alpha=0.2, regularizer=L, tol=1e-12).x

    parameters = L.operator.kernel, affine.offset
    values = [each.detach().clone() for each in parameters]
    x = solved(*values)
    g = torch.from_numpy(array(x.shape, "float64", 3))
    gradients = torch.autograd.grad(x, parameters, g)
    for k, gradient in enumerate(gradients):
        direction = torch.from_numpy(array(gradient.shape, "float64", 4))
        moved = [[v + s * 1e-4 * direction if j == k else v for j, v in enumerate(values)] for s in (1, -1)]
        up, down = (float((g * solved(*each)).sum().detach()) for each in moved)
        assert abs((up - down) / 2e-4 - float((gradient * direction).sum())) <= 1e-5 * float(gradient.norm())


def test_a_penalty_on_alpha_has_the_gradient_of_differences():
    A = GRADED["diagonal"]("float64")
    b = torch.from_numpy(array(A.out_shape, "float64", 2))
    alpha = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    solution = convop.solve(A, b, alpha=alpha, regularizer="laplacian", tol=1e-12)
    assert solution.alpha is alpha
    (gradient,) = torch.autograd.grad(solution.x.square().sum(), alpha)
    up, down = (convop.solve(A, b.numpy(), alpha=0.2 + step, regularizer="laplacian").x for step in (1e-5, -1e-5))
    assert float(gradient) == pytest.approx(((up**2).sum() - (down**2).sum()) / 2e-5, rel=1e-6)


def test_a_second_derivative_is_refused():
    A = GRADED["frame"]("float64")
    b = torch.from_numpy(array(A.out_shape, "float64", 2)).requires_grad_()
    x = convop.solve(A, b, alpha=0.2).x
    (gradient,) = torch.autograd.grad(x.square().sum(), b, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_a_gradient_that_did_not_converge_warns():
    A = GRADED["krylov"]("float64")
    b = torch.from_numpy(array(A.out_shape, "float64", 2)).requires_grad_()
    solution = convop.solve(A, b, alpha=1e-6, maxiter=3)
    assert solution.status == "max_iterations"
    with pytest.warns(RuntimeWarning, match="max_iterations"):
        solution.x.sum().backward()


def test_kernels_that_train_are_solved_as_they_are_now():
    A = GRADED["frame"]("complex128")
    module = convop.to_torch(0.5 * A, trainable=True)
    b = array(A.out_shape, "complex128", 2)
    for factor in (1, 2j):
        got = convop.solve(module, torch.from_numpy(b), alpha=0.2, tol=1e-12)
        assert got.method == "frame"
        assert relative(got.x.detach().numpy(), convop.solve(0.5 * factor * A, b, alpha=0.2, tol=1e-12).x) <= 1e-10
        with torch.no_grad():
            module.operator.kernel.mul_(2j)


def test_a_module_of_which_only_products_are_known():
    A, D = GRADED["krylov"]("complex128"), convop.Diagonal(array((5, 4), "complex128", 1))
    b = array((2, 5, 4), "complex128", 2)
    for module, operator in [(convop.to_torch(A @ D), A @ D), (convop.to_torch(A @ D).H, (A @ D).H)]:
        got = convop.solve(module, torch.from_numpy(b), alpha=0.2, tol=1e-12)
        assert got.method == "krylov"
        assert "nothing but products" in got.reason
        assert relative(got.x.numpy(), convop.solve(operator, b, alpha=0.2, tol=1e-12).x) <= 1e-10
        for options in ({"method": "diagonal"}, {"regularizer": "gradient"}, {"alpha": None}, {"prior": "tv"}):
            with pytest.raises(convop.GeometryError, match=r"operator|module"):
                convop.solve(module, torch.from_numpy(b), **{"alpha": 0.1, **options})


@pytest.mark.parametrize("rule", [None, "gcv", "discrepancy"])
@pytest.mark.parametrize("batch", [(), (2, 2)])
def test_rules(rule, batch):
    A = blur(PLANE, "float64", boundary="periodic")
    b = A(array((*batch, 12, 11), "float64", 1)) + 0.1 * array((*batch, 12, 11), "float64", 2)
    options = {"alpha": rule, "noise": 0.1}
    got, want = convop.solve(A, torch.from_numpy(b), **options), convop.solve(A, b, **options)
    np.testing.assert_allclose(np.asarray(got.alpha), want.alpha, rtol=1e-12)
    assert got.x.shape == want.x.shape
    assert relative(got.x.numpy(), want.x) <= 1e-5
    assert np.shape(got.error_bound) == np.shape(want.error_bound)
    with pytest.raises(convop.GeometryError, match="no gradient"):
        convop.solve(A, torch.from_numpy(b).requires_grad_(), **options)


@pytest.mark.parametrize(
    "options", [{"prior": "tv", "alpha": 0.01}, {"nonneg": True, "alpha": 0.01}, {"prior": "truncated", "alpha": 0.01}]
)
def test_what_numpy_solves(options):
    A = blur(PLANE, "float64", boundary="periodic")
    b = array((2, 12, 11), "float64", 1)
    got, want = convop.solve(A, torch.from_numpy(b), **options), convop.solve(A, b, **options)
    assert torch.is_tensor(got.x)
    np.testing.assert_array_equal(got.x.numpy(), want.x)
    with pytest.raises(convop.GeometryError, match="gradients"):
        convop.solve(A, torch.from_numpy(b).requires_grad_(), **options)
    with pytest.raises(convop.GeometryError, match="gradients"):
        convop.solve(convop.to_torch(A, trainable=True), torch.from_numpy(b), **options)
    np.testing.assert_array_equal(convop.solve(convop.to_torch(A), torch.from_numpy(b), **options).x, want.x)
    if "nonneg" in options:
        by_action = convop.as_operator(forward=A, adjoint=A.H, in_shape=A.in_shape, out_shape=A.out_shape)
        again = convop.solve(by_action, torch.from_numpy(b), regularizer=convop.to_torch(convop.gradient(A.in_shape)),
                             **options)  # fmt: skip
        assert (
            relative(again.x.numpy(), convop.solve(A, b, regularizer=convop.gradient(A.in_shape), **options).x) < 1e-2
        )


def test_start_and_callback():
    A = blur(PLANE, "float64", boundary="mirror")
    b = array((2, 3, 12, 11), "float64", 1)
    seen = []
    first = convop.solve(A, torch.from_numpy(b), alpha=0.1, tol=1e-9, callback=seen.append)
    assert [each.iteration for each in seen] == list(range(1, first.iterations + 1))
    assert seen[-1].x.shape == first.x.shape
    again = convop.solve(A, torch.from_numpy(b), alpha=0.1, tol=1e-8, x0=first.x)
    assert again.iterations == 0
    assert convop.solve(A, torch.from_numpy(b[0, 0]), alpha=0.1, tol=1e-8, x0=first.x[0, 0]).iterations == 0
    with pytest.raises(convop.ShapeError, match="x0"):
        convop.solve(A, torch.from_numpy(b), alpha=0.1, x0=first.x[0])
    with pytest.raises(convop.DTypeError, match="x0"):
        convop.solve(A, torch.from_numpy(b), alpha=0.1, x0=1j * first.x)


def test_nothing_to_solve():
    A = blur(PLANE, "float64", mode="valid")
    b = torch.empty((0, 3, *A.out_shape), requires_grad=True)
    solution = convop.solve(A, b, alpha=0.1)
    assert (solution.x.shape, solution.x.dtype) == ((0, 3, 12, 11), torch.float64)
    solution.x.sum().backward()
    assert b.grad.shape == b.shape


def test_flat_data_and_integers():
    A = blur(PLANE, "float32", mode="valid")
    b = torch.randint(0, 9, A.out_shape)
    got = convop.solve(A, b.flatten(), alpha=0.1)
    assert got.x.dtype == torch.float32
    assert relative(got.x.numpy(), convop.solve(A, b.numpy(), alpha=0.1).x) <= 1e-4


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"A": torch.nn.Linear(3, 4)}, convop.GeometryError, "from_torch"),
        ({"b": np.ones(6), "alpha": torch.tensor(1.0)}, convop.DTypeError, "tensor"),
        ({"b": torch.ones(5)}, convop.ShapeError, "6"),
        ({"b": torch.full((6,), float("nan"))}, convop.GeometryError, "6 samples"),
        ({"alpha": torch.ones(2)}, convop.GeometryError, "single real"),
        ({"alpha": torch.tensor(-1.0)}, convop.GeometryError, "no weight"),
        ({"alpha": torch.tensor(1j)}, convop.GeometryError, "single real"),
        ({"regularizer": convop.to_torch(convop.gradient(5))}, convop.ShapeError, "regularizer"),
        ({"regularizer": convop.gradient(5)}, convop.ShapeError, "regularizer"),
        ({"method": "pinned"}, convop.GeometryError, "cannot serve"),
        ({"prior": "nonsense"}, convop.GeometryError, "unknown prior"),
        ({"method": "nonsense"}, convop.GeometryError, "unknown method"),
        ({"tol": 2}, convop.GeometryError, "tol"),
        ({"noise": -1, "alpha": "upre"}, convop.GeometryError, "noise"),
    ],
)
def test_refusals(change, kind, said):
    given = {"A": convop.Convolution([1.0, 2.0, 1.0], 6), "b": torch.ones(6), "alpha": 0.1, **change}
    with pytest.raises(kind, match=said):
        convop.solve(given.pop("A"), given.pop("b"), **given)


@pytest.mark.parametrize("boundary", ["unknown", "mirror"])
@pytest.mark.parametrize(("taps", "shape", "dtype"), [((3, 4), (2, 11, 9), "complex128"), ((4,), (30,), "float64")])
def test_deconvolve_is_numpys(taps, shape, dtype, boundary):
    kernel, image = array(taps, dtype, 1), array(shape, dtype, 2)
    options = {"prior": "tikhonov", "alpha": 0.1, "tol": 1e-12, "boundary": boundary, "center": 1}
    want = convop.deconvolve(image, kernel, **options)
    for each in (kernel, torch.from_numpy(kernel)):
        got = convop.deconvolve(torch.from_numpy(image), each, **options)
        assert relative(got.x.numpy(), want.x) <= 1e-9
        assert relative(got.scene.numpy(), want.scene) <= 1e-9
        assert "sums to" in got.reason


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("own", [False, True])
def test_deconvolve_colours(dtype, own):
    image = (torch.from_numpy(np.random.default_rng(0).uniform(20, 200, (15, 3, 14)))).to(dtype)
    kernel = np.random.default_rng(1).random((3, 3, 4) if own else (3, 4))
    kernel /= kernel.sum() / (3 if own else 1)
    options = {"prior": "tikhonov", "alpha": 0.05, "channel_axis": 1, "tol": 1e-6}
    got = convop.deconvolve(image, kernel, **options)
    host = image.float().numpy() if dtype == torch.bfloat16 else image.numpy()
    want = convop.deconvolve(host, kernel, **options)
    assert (got.x.dtype, got.x.shape, got.scene.shape) == (dtype, image.shape, want.scene.shape)
    scale = abs(want.scene).max()
    np.testing.assert_allclose(got.scene.double().numpy(), want.scene, rtol=0, atol=1e-4 * scale)
    rounding = {torch.float16: 1e-3, torch.bfloat16: 1e-2, torch.float32: 1e-4}.get(dtype, 1 / scale)
    np.testing.assert_allclose(got.x.double().numpy(), want.x.astype("d"), rtol=0, atol=rounding * scale)
    assert np.shape(got.alpha) == np.shape(want.alpha)


@pytest.mark.parametrize(("own", "dtype"), [(False, "complex128"), (True, "float64")])
def test_deconvolve_gradients(own, dtype):
    image = torch.from_numpy(array((2, 6, 5), dtype, 1)).requires_grad_()
    kernel = torch.from_numpy(array((2, 3, 2) if own else (3, 2), dtype, 2)).requires_grad_()
    alpha = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)

    def solved(image, kernel, alpha):
        return convop.deconvolve(image, kernel, channel_axis=0, prior="tikhonov", alpha=alpha, tol=1e-11).x

    assert torch.autograd.gradcheck(solved, (image, kernel, alpha), eps=1e-5, atol=1e-5, rtol=1e-5, fast_mode=True)


def test_deconvolve_by_numpy():
    image, kernel = np.repeat([10.0, 80.0, 40.0], 12), np.full(5, 0.2)
    got, want = (
        convop.deconvolve(torch.from_numpy(image), kernel, alpha=0.1),
        convop.deconvolve(image, kernel, alpha=0.1),
    )
    np.testing.assert_array_equal(got.x.numpy(), want.x)
    assert torch.is_tensor(got.scene)
    for given in ((torch.from_numpy(image).requires_grad_(), kernel), (torch.from_numpy(image), torch.ones(5) * 0.2)):
        with pytest.raises(convop.GeometryError, match="gradients"):
            convop.deconvolve(given[0], torch.as_tensor(given[1]).requires_grad_(), alpha=0.1)


@pytest.mark.parametrize(
    ("image", "kernel", "kind", "said"),
    [
        (torch.tensor([1.0, float("inf"), 0.0]), torch.ones(2), convop.GeometryError, "1 samples"),
        (torch.ones(0), torch.ones(2), convop.GeometryError, "empty"),
        (torch.ones(5), torch.zeros(2), convop.GeometryError, "zero everywhere"),
        (torch.ones(5), torch.full((2,), float("nan")), convop.GeometryError, "kernel"),
        (torch.ones(5), torch.ones(2, 2), convop.ShapeError, "shape"),
        (np.ones(5), torch.ones(2), convop.DTypeError, "image"),
    ],
)
def test_deconvolve_refusals(image, kernel, kind, said):
    with pytest.raises(kind, match=said):
        convop.deconvolve(image, kernel, prior="tikhonov", alpha=0.1)


@pytest.mark.parametrize("n", [2, 3, 4, 7, 8])
@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_cosine_transforms(n, kind, dtype):
    x = array((3, n, 2), dtype, 1)
    for inverse, function in [(False, scipy.fft.dct), (True, scipy.fft.idct)]:
        got = cosine(torch.from_numpy(x), -2, kind, inverse).numpy()
        np.testing.assert_allclose(got, function(x, kind, axis=-2, norm="ortho"), rtol=0, atol=1e-14)


def test_torch_is_not_loaded_for_arrays_and_found_for_tensors():
    program = """
import sys, numpy, convop
A = convop.Convolution([1.0, 2.0, 1.0], 6, mode="valid")
x = convop.solve(A, numpy.ones(4), alpha=0.1).x
assert "torch" not in sys.modules and "convop.interop.torch.solving" not in sys.modules
import torch
got = convop.solve(A, torch.ones(4), alpha=0.1).x
assert isinstance(convop.solve(A, numpy.ones(4), alpha=0.1).x, numpy.ndarray)
assert abs(got.numpy() - x).max() < 1e-6
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
