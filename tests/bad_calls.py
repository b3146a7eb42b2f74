"""Calls of the public API with one or two arguments replaced by something nobody should pass, drawn at random.

Each must give a result or raise one of convop's own errors, in a few seconds, without a warning. What may take long or
much memory when it is right (a huge shape is no mistake) must be refused by the memory budget.
"""

import signal
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import scipy.sparse

import convop
from convop import check, psf, spectrum

SECONDS = 20


@dataclass(frozen=True)
class Door:
    """A public callable with arguments that are right."""

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any] = field(default_factory=dict)
    also: tuple[type[BaseException], ...] = ()  # what Python itself raises where an operator takes no such operand


class Opaque:
    """Nothing that numpy could make an array of."""

    def __repr__(self) -> str:
        return "Opaque()"


def _pool() -> list[Any]:
    """Values that few arguments take."""
    frozen = np.arange(6.0).reshape(2, 3)
    frozen.setflags(write=False)
    return [
        None, True, False, 0, 1, -1, 2, 3, 7, 10**6, 10**12, 2**63, -(2**70), 0.0, 0.5, -2.5, 1e300, 1e-320,
        float("nan"), float("inf"), -float("inf"), 1j, complex("nan"), Fraction(1, 3), np.float32(1.5), np.int8(-3),
        np.float16(2), np.longdouble(1), np.bool_(True), "", "zero", "mirror", "nonsense", "same", "\0", b"abc",
        (), (0,), (1,), (3, 3), (5, 6), (2, 5, 6), (1, 2, 3, 4, 5), (-1, 5), (5, 6.5), ("zero", "periodic"), (None, 3),
        (10**9, 10**9), [], [[]], [1, [2]], [[1, 2], [3]], {}, {"a": 1}, {1, 2}, range(3), iter([1, 2]), object,
        Opaque(), len, (lambda: None), slice(None), Ellipsis, NotImplemented,
        np.zeros(0), np.zeros((0, 3)), np.zeros((3, 0)), np.array(3.0), np.ones(5), np.ones((5, 6)), np.ones((2, 5, 6)),
        np.ones((3, 3), int), np.ones((3, 3), bool), np.ones((3, 3), np.float16), np.ones((3, 3), np.longdouble),
        np.ones((3, 3), complex), np.full((3, 3), np.nan), np.full((5, 6), np.inf), np.array(["a", "b"]),
        np.array([None, 1], object), np.zeros(3, [("a", float)]), np.array(["2020-01-01"], "datetime64[D]"),
        np.ones((5, 6), ">f8"), np.ones((10, 12))[::2, ::2], frozen, np.ma.masked_array([1.0, 2.0], [True, False]),
        scipy.sparse.csr_array(np.eye(3)), scipy.sparse.coo_matrix(np.ones((5, 6))), np.broadcast_to(1.0, (5, 6)),
        np.random.default_rng(0), convop.Identity((5, 6)), convop.Convolution(np.ones(3), 4), convop.ConvopError("x"),
    ]  # fmt: skip


def doors() -> list[Door]:
    """The public API, each with arguments that it takes."""
    kernel, image = np.outer([1.0, 2.0, 1.0], [1.0, 0.5]), np.random.default_rng(0).random((5, 6))
    A = convop.Convolution(kernel, (5, 6))
    P = convop.Convolution(kernel, (5, 6), boundary="periodic")
    layer = convop.conv_layer(np.ones((4, 2, 3, 3)), (2, 5, 6), padding=1)
    return [
        Door("Convolution", convop.Convolution, {
            "kernel": kernel, "in_shape": (5, 6), "mode": "same", "boundary": "zero", "center": None, "stride": 1,
            "dilation": 1, "method": "auto"}),
        Door("conv_layer", convop.conv_layer, {
            "weight": np.ones((4, 2, 3, 3)), "in_shape": (2, 5, 6), "stride": 1, "padding": 1, "dilation": 1,
            "groups": 1, "boundary": "zero", "bias": None, "method": "auto"}),
        Door("conv_transpose_layer", convop.conv_transpose_layer, {
            "weight": np.ones((2, 4, 3, 3)), "in_shape": (2, 5, 6), "stride": 1, "padding": 0, "output_padding": 0,
            "dilation": 1, "groups": 1}),
        Door("as_convolution", convop.as_convolution, {
            "M": A.tosparse(), "in_shape": (5, 6), "out_shape": None, "boundary": "zero", "channels": False,
            "stride": 1, "kernel_shape": None, "max_bytes": None}),
        Door("as_operator", convop.as_operator, {"M": np.eye(6), "in_shape": 6, "out_shape": 6, "dtype": None}),
        Door("Unfold", convop.Unfold, {
            "in_shape": (2, 5, 6), "kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1, "dtype": "float64"}),
        Door("Extend", convop.Extend, {"in_shape": (5, 6), "widths": 1, "boundary": "mirror", "dtype": "float32"}),
        Door("Select", convop.Select, {"in_shape": (5, 6), "index": (slice(1, 3), slice(None)), "dtype": "float32"}),
        Door("Diagonal", convop.Diagonal, {"array": image}),
        Door("Identity", convop.Identity, {"shape": (5, 6), "dtype": "float32"}),
        Door("Affine", convop.Affine, {"A": A, "offset": np.ones((5, 6))}),
        Door("BlockToeplitz", convop.BlockToeplitz, {
            "generator": np.ones(7), "in_shape": 4, "out_shape": 4, "method": "auto"}),
        Door("Lifted", convop.Lifted, {"blocks": [[A, A]], "groups": 1}),
        Door("as_toeplitz", convop.as_toeplitz, {"A": A}),
        Door("as_circulant", convop.as_circulant, {"A": P}),
        Door("lift", convop.lift, {"A": layer}),
        Door("lower", convop.lower, {"L": convop.lift(layer)}),
        Door("gradient", convop.gradient, {"in_shape": (5, 6), "boundary": "symmetric", "dtype": "float32"}),
        Door("laplacian", convop.laplacian, {"in_shape": (5, 6), "boundary": "symmetric", "dtype": "float32"}),
        Door("estimate", convop.estimate, {"A": A, "format": "csr"}),
        Door("explain", convop.explain, {"A": A @ A}),
        Door("optimal_order", convop.optimal_order, {"chain": [A, A], "by": "flops"}),
        Door("vstack", convop.vstack, {"operators": [A, A]}),
        Door("hstack", convop.hstack, {"operators": [A, A]}),
        Door("block_diag", convop.block_diag, {"operators": [A, A]}),
        Door("block", convop.block, {"rows": [[A, A], [A, A]]}),
        Door("norm", convop.norm, {"A": A}),
        Door("cond", convop.cond, {"A": P, "max_bytes": None}),
        Door("svdvals", convop.svdvals, {"A": A, "k": None, "max_bytes": None}),
        Door("eigvals", convop.eigvals, {"A": P, "max_bytes": None}),
        Door("symbol", convop.symbol, {"A": P}),
        Door("norm_bounds", convop.norm_bounds, {"A": A}),
        Door("spectrum.clip", spectrum.clip, {"A": P, "bound": 1.0, "tol": 1e-2, "maxiter": 50}),
        Door("spectrum.nearest_orthogonal", spectrum.nearest_orthogonal, {"A": P}),
        Door("solve", convop.solve, {
            "A": A, "b": image, "alpha": 0.1, "regularizer": None, "prior": "tikhonov", "nonneg": False, "noise": None,
            "method": "auto", "tol": 1e-6, "maxiter": 50, "x0": None, "callback": None, "progress": False}),
        Door("deconvolve", convop.deconvolve, {
            "image": image, "kernel": kernel, "boundary": "unknown", "center": None, "channel_axis": None,
            "alpha": 0.1, "prior": "tikhonov", "maxiter": 50}),
        Door("estimate_kernel", convop.estimate_kernel, {
            "sharp": image, "blurred": image, "size": (3, 3), "boundary": "zero", "center": None, "alpha": 0.1}),
        Door("preconditioner", convop.preconditioner, {"A": A, "alpha": 0.1, "kind": "auto"}),
        Door("check.adjoint", check.adjoint, {"A": A, "trials": 3, "rng": 0, "exact": False, "in_shape": None}),
        Door("check.linear", check.linear, {"A": A, "trials": 3, "rng": 0, "in_shape": None}),
        Door("check.associative", check.associative, {"A": A, "B": A, "C": A, "rng": 0}),
        Door("check.equal", check.equal, {"A": A, "B": A, "trials": 3, "rng": 0}),
        Door("check.all", check.all, {"A": A, "rng": 0}),
        Door("psf.gaussian", psf.gaussian, {"size": 5, "sigma": 1.0}),
        Door("psf.disk", psf.disk, {"radius": 2.0}),
        Door("psf.motion", psf.motion, {"length": 5, "angle": 30}),
        Door("psf.moffat", psf.moffat, {"size": 5, "fwhm": 2.0, "beta": 2.5}),
        Door("A(x)", A, {"x": image}),
        Door("A.H(x)", A.H, {"x": image}),
        Door("A @ x", lambda x: A @ x, {"x": image.ravel()}),
        Door("A * x", lambda x: A * x, {"x": 2.0}, (TypeError,)),
        Door("A + B", lambda B: A + B, {"B": A}, (TypeError,)),
        Door("A / x", lambda x: A / x, {"x": 2.0}, (TypeError,)),
        Door("A ** n", lambda n: A**n, {"n": 2}),
        Door("A.rmatvec", A.rmatvec, {"x": image.ravel()}),
        Door("A.matmat", A.matmat, {"X": np.ones((30, 2))}),
        Door("A.tosparse", A.tosparse, {"format": "csr", "max_bytes": None}),
        Door("A.toarray", A.toarray, {"max_bytes": None}),
        Door("A.using", A.using, {"method": "direct"}),
        Door("A.with_kernel", A.with_kernel, {"kernel": kernel}),
        Door("A.kernel_operator", A.kernel_operator, {"x": image}),
    ]  # fmt: skip


@contextmanager
def limited():
    """TimeoutError after `SECONDS`, where the system has alarms."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"took more than {SECONDS} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(number: int, seed: int) -> tuple[int, list[str]]:
    """How many of `number` calls gave a result, and what else came than a result or an error of convop."""
    rng, every = np.random.default_rng(seed), doors()
    taken, wrong = 0, []
    for door in every:  # they do take what is right, and what is compiled on the first call is compiled
        door.function(**door.arguments)
    for index in range(number):
        door = every[index % len(every)]
        names, pool = list(door.arguments), _pool()
        count = min(len(names), 1 + int(rng.random() < 0.3))
        bad = {names[i]: pool[rng.integers(len(pool))] for i in rng.choice(len(names), count, replace=False)}
        if isinstance(bad.get("trials"), int) and bad["trials"] > 10**4:
            continue  # a wish for a long run is no mistake
        try:
            with limited(), warnings.catch_warnings():
                warnings.simplefilter("error")
                door.function(**door.arguments | bad)
            taken += 1
        except (convop.ConvopError, *door.also):
            pass
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            given = ", ".join(f"{name}={value!r}"[:80] for name, value in bad.items())
            wrong.append(f"{door.name}({given}): {type(error).__name__}: {error}".replace("\n", " ")[:300])
    return taken, wrong
