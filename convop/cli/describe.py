"""`convop describe`: what a kernel, a layer or a saved operator is as a matrix."""

import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..boundary import RULES
from ..convolution import Convolution
from ..dtypes import Array
from ..errors import ConvopError, GeometryError, NotConverged
from ..geometry import Geometry, reach
from ..layers import conv_layer
from ..operator import Operator
from ..sizing import estimate
from ..spectrum.bounds import norm_bounds
from ..spectrum.values import cond, form, norm
from ..structured.circulant_rules import as_circulant
from .kernel_files import Contents, contents
from .output import Usage, as_json, columns, figure, sizes

SIDES = {1: 1000, 2: 32, 3: 10}  # of the arrays, for so many axes, where nobody says
DENSE = 1600  # rows or columns up to which a matrix is decomposed for its condition
SPREAD = 4  # an array that nobody gave is at least so many times the kernel's reach
WIDTH = 80


@dataclass(frozen=True)
class Job:
    """What was asked for."""

    file: Path
    name: str | None = None
    in_shape: tuple[int, ...] | None = None
    boundary: str | None = None
    boundaries: bool = False
    mode: str | None = None
    layer: bool = False
    stride: int | tuple[int, ...] = 1
    dilation: int | tuple[int, ...] = 1
    padding: int | tuple[int, ...] | None = None
    groups: int = 1
    json: bool = False


def describe(job: Job) -> None:
    """Read the file and print what it holds."""
    held = contents(job.file)
    if held.operator is not None:
        _require_no_options(job)
        facts = {"file": job.file.name, **operator_facts(held.operator)}
    else:
        chosen = held.array(job.name, job.file)
        facts = _list(job, held) if chosen is None else _facts(job, *chosen, held.layers or job.layer)
    print(as_json(facts) if job.json else "\n".join(_lines(facts)))


def _require_no_options(job: Job) -> None:
    given = [name for name in ("name", "in_shape", "boundary", "mode", "padding") if getattr(job, name) is not None]
    if given or job.boundaries:
        raise Usage(
            f"{job.file} is a saved operator, which has its shapes and boundary already; leave out "
            f"{', '.join('--' + name.replace('_', '-') for name in given) or '--boundaries'}"
        )


def _list(job: Job, held: Contents) -> dict[str, Any]:
    arrays = {name: {"shape": array.shape, "dtype": array.dtype.name} for name, array in held.arrays.items()}
    return {"file": job.file.name, "arrays": arrays}


# Figures.


def _facts(job: Job, name: str, kernel: Array, layer: bool) -> dict[str, Any]:
    A = _operator(job, kernel, layer, job.boundary or "zero")
    facts = {"file": job.file.name, "name": name, "kernel": kernel_facts(kernel), **operator_facts(A)}
    if job.boundaries:
        facts["boundaries"] = {each: _under(job, kernel, layer, each) for each in RULES}
    return facts


def _operator(job: Job, kernel: Array, layer: bool, boundary: str) -> Convolution:
    taps = kernel.shape[2:] if layer else kernel.shape
    shape = job.in_shape or _shape(taps, job.dilation)
    options: dict[str, Any] = {"stride": job.stride, "dilation": job.dilation, "boundary": boundary}
    if not layer:
        if job.padding is not None or job.groups != 1:
            raise Usage("--padding and --groups belong to layers; add --layer, or use --mode")
        return Convolution(kernel, shape, mode=job.mode or "same", **options)
    if job.mode:
        raise Usage("--mode belongs to kernels; a layer has --padding")
    if not taps:
        raise Usage(f"a layer's weight has axes (C_out, C_in, *taps), this array has shape {kernel.shape}")
    padding = job.padding if job.padding is not None else tuple((k - 1) // 2 for k in taps)
    return conv_layer(kernel, (kernel.shape[1] * job.groups, *shape), padding=padding, groups=job.groups, **options)


def _shape(taps: tuple[int, ...], dilation: int | tuple[int, ...]) -> tuple[int, ...]:
    """Arrays on which the kernel's edges are not everything, and small enough to be taken apart."""
    spacing = (dilation,) * len(taps) if isinstance(dilation, int) else dilation
    side = SIDES.get(len(taps), 6)
    return tuple(max(side, SPREAD * reach(k, d) if k > 1 else 1) for k, d in zip(taps, spacing, strict=False))


def kernel_facts(kernel: Array) -> dict[str, Any]:
    """What a kernel is by itself."""
    if kernel.size == 0 or not np.isfinite(kernel).all():
        raise GeometryError("the kernel is empty or holds NaN or inf, which make no operator; mend it")
    real = not np.iscomplexobj(kernel)
    flipped = np.flip(kernel, tuple(range(max(kernel.ndim - 2, 0), kernel.ndim)))
    return {
        "shape": kernel.shape,
        "dtype": kernel.dtype.name,
        "nonzero": int(np.count_nonzero(kernel)),
        "sum": kernel.sum(dtype=np.result_type(kernel.dtype, np.float64)),
        "min": kernel.min() if real else None,
        "max": kernel.max() if real else np.abs(kernel).max(),
        "symmetric": bool(np.array_equal(kernel, flipped)),
        "rank": int(np.linalg.matrix_rank(kernel)) if kernel.ndim == 2 else None,
    }


def operator_facts(A: Operator) -> dict[str, Any]:
    """What an operator is as a matrix."""
    size, told = (estimate(A) if A.explicit else None), form(A)
    value, how = norm_of(A, told.exact)
    number, why = condition_of(A, told.exact)
    return {
        "operator": repr(A),
        "in_shape": A.in_shape,
        "out_shape": A.out_shape,
        "dtype": A.dtype.name,
        "structure": structure_of(A),
        "matrix": None if size is None else {
            "shape": size.shape, "entries": size.nnz, "bytes": size.bytes, "exact": size.exact, "text": str(size),
        },
        "norm": value,
        "norm_by": how,
        "condition": number,
        "condition_by": why,
        "spectrum": str(told).splitlines()[0],
    }  # fmt: skip


def norm_of(A: Operator, exact: bool) -> tuple[float, str]:
    """The 2-norm, and how it was found."""
    try:
        return norm(A), "closed form" if exact else "Lanczos"
    except NotConverged:
        bounds = norm_bounds(A)
        return bounds.upper, f"a bound; it is at least {figure(bounds.lower)}"


def condition_of(A: Operator, exact: bool) -> tuple[float | None, str]:
    """The condition number, or why it was not looked for."""
    if exact or max(A.shape) <= DENSE:
        return cond(A), "closed form" if exact else "from the dense matrix"
    return None, f"the dense matrix of {A.shape[0]:,} x {A.shape[1]:,} is too large to be taken apart here"


def structure_of(A: Operator) -> list[str]:
    """In words, what kind of matrix it is."""
    if not isinstance(A, Convolution):
        return [line.strip() for line in str(A).splitlines()[1:]]
    g = A.geometry
    channels = [f"channels {g.channels_in} -> {g.channels_out}, groups {g.groups}"] if g.lifted else []
    found = [*channels, f"boundary {_outside(g)}, stride {_each(g.stride)}, dilation {_each(g.dilation)}"]
    nested = g.ndim > 1 or g.lifted
    if {name for pair in g.boundary for name in pair} == {"zero"} and _each(g.stride) == "1":
        found.append(f"block Toeplitz, {g.ndim} level{'s' if g.ndim > 1 else ''}" if nested else "Toeplitz")
    try:
        as_circulant(A)
        found.append("block circulant" if nested else "circulant")
    except ConvopError:
        pass
    return [*found, "the adjoint is a convolution too" if g.adjoint() else "the adjoint is no convolution"]


def _outside(g: Geometry) -> str:
    """The boundary of each side that is read."""
    axes = [
        tuple(name for name, reads in zip(g.boundary[axis], g.reads_outside(axis), strict=True) if reads)
        or ("none read",)
        for axis in range(g.ndim)
    ]
    return _each(tuple(axes))


def _each(values: tuple[Any, ...]) -> str:
    """What axes or sides have, said once where it is the same for all."""
    said = [_each(value) if isinstance(value, tuple) else str(value) for value in values]
    return said[0] if len(set(said)) == 1 else f"({', '.join(said)})"


def _under(job: Job, kernel: Array, layer: bool, boundary: str) -> dict[str, Any]:
    """Norm and condition under one boundary, or why there is none."""
    try:
        A = _operator(job, kernel, layer, boundary)
    except GeometryError as error:
        return {"refused": " ".join(str(error).split())}
    told = form(A)
    return {
        "norm": norm_of(A, told.exact)[0],
        "condition": condition_of(A, told.exact)[0],
        "closed_form": told.exact,
        "adjoint_is_a_convolution": A.geometry.adjoint() is not None,
    }


# Words.


def _lines(facts: dict[str, Any]) -> list[str]:
    if "arrays" in facts:
        rows = [(name, sizes(each["shape"]), each["dtype"]) for name, each in facts["arrays"].items()]
        return [f"{facts['file']} holds {len(rows)} arrays; --name describes one of them", *columns(rows)]
    lines = [facts["file"] + ("" if facts.get("name", facts["file"]) == facts["file"] else f": {facts['name']}")]
    if "kernel" in facts:
        lines += _kernel_lines(facts["kernel"])
    lines += ["", *_entry("operator", facts["operator"][1:-1])]
    for line in facts["structure"]:
        lines += _entry("", line)
    lines += _entry("matrix", facts["matrix"]["text"] if facts["matrix"] else "known by its action only")
    lines += _entry("norm", f"{figure(facts['norm'])}, {facts['norm_by']}")
    lines += _entry("condition", f"{figure(facts['condition'])}, {facts['condition_by']}")
    lines += _entry("spectrum", facts["spectrum"])
    return lines + (_boundary_lines(facts["boundaries"]) if "boundaries" in facts else [])


def _kernel_lines(k: dict[str, Any]) -> list[str]:
    shape = k["shape"]
    nonzero = f"{k['nonzero']:,} of {math.prod(shape):,} taps are not zero"
    values = "complex" if k["min"] is None else f"from {figure(k['min'])} to {figure(k['max'])}"
    rank = {None: "", 1: ", separable (rank 1)"}.get(k["rank"], f", not separable (rank {k['rank']})")
    lines = _entry("kernel", f"{sizes(shape)}, {k['dtype']}; {nonzero}, {values}, sum {figure(k['sum'])}")
    return lines + _entry("", f"{'' if k['symmetric'] else 'not '}symmetric about its centre{rank}")


def _boundary_lines(boundaries: dict[str, dict[str, Any]]) -> list[str]:
    rows = [("boundary", "norm", "condition", "closed form", "adjoint a convolution")]
    for name, each in boundaries.items():
        if "refused" in each:
            rows.append((name, "refused", "", "", ""))
            continue
        form, adjoint = ("yes" if each[key] else "no" for key in ("closed_form", "adjoint_is_a_convolution"))
        rows.append((name, figure(each["norm"]), figure(each["condition"]), form, adjoint))
    return ["", *columns(rows)]


def _entry(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"{name:<11}", subsequent_indent=" " * 11) or [name]
