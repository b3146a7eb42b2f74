"""Extension past the edges with tensors, and its adjoint: the index and weights that `Geometry.extension` gives."""

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ...arguments import Shape
from ...geometry import Geometry
from .opaque import Opaque, applied


class Edge(nn.Module):
    """A run of samples outside an axis: sample `p` is the sum over `r` of `weight[r, p] * x[index[r, p]]`."""

    index: Tensor
    weight: Tensor

    def __init__(self, index: NDArray[np.intp], weight: NDArray[np.intp], device: torch.device | None) -> None:
        super().__init__()
        terms = weight.any(axis=0)  # no term at all where zeros stand outside
        self.size, self.plain = len(index), bool((weight[:, terms] == 1).all())
        for name, values in (("index", index), ("weight", weight)):
            tensor = torch.from_numpy(np.ascontiguousarray(values[:, terms].T, np.int64)).to(device)
            self.register_buffer(name, tensor, persistent=False)

    def extend(self, x: Tensor, dim: int) -> Tensor:
        if self.plain and len(self.index) == 1:
            return x.index_select(dim, self.index[0])
        total = x.new_zeros(_resized(x, dim, self.size))
        for index, weight in zip(self.index, self.weight, strict=True):
            total = total + self._times(x.index_select(dim, index), weight, dim)
        return total

    def fold(self, outside: Tensor, x: Tensor, dim: int) -> Tensor:
        """`x` with what stands `outside` added to the samples it was made from."""
        for index, weight in zip(self.index, self.weight, strict=True):
            x = x.index_add(dim, index, self._times(outside, weight, dim))
        return x

    def _times(self, x: Tensor, weight: Tensor, dim: int) -> Tensor:
        return x if self.plain else x * weight.to(x.dtype).reshape(-1, *(1,) * (-dim - 1))


class Extension(Opaque):
    """Extension of some axes of `(..., *spatial)` to `geometry.extended`; an axis may also be cropped.

    Graphs of torch.compile see one function: with two threads, the C++ that torch 2.13 makes of `index_add` on tensors
    whose channels stand next to each other adds wrongly.
    """

    def __init__(self, geometry: Geometry, axes: Sequence[int], device: torch.device | None) -> None:
        super().__init__()
        self.geometry = geometry
        self.axes = tuple(axis for axis in axes if geometry.padding[axis] != (0, 0))
        self.inside = {axis: _inside(geometry, axis) for axis in self.axes}
        self.edges = nn.ModuleList(edge for axis in self.axes for edge in self._edges(axis, device))
        self.enlist()

    def _edges(self, axis: int, device: torch.device | None) -> tuple[Edge, Edge]:
        g, (first, last, *_) = self.geometry, self.inside[axis]
        extension = g.extension(axis)
        shape = (g.extended[axis], extension.index.shape[1])
        index, weight = np.zeros(shape, np.intp), np.zeros(shape, np.intp)
        index[extension.position], weight[extension.position] = extension.index, extension.weight
        return Edge(index[:first], weight[:first], device), Edge(index[last:], weight[last:], device)

    def _each(self) -> list[tuple[int, int, Edge, Edge]]:
        pairs = zip(self.axes, self.edges[::2], self.edges[1::2], strict=True)
        return [(axis, axis - self.geometry.ndim, cast(Edge, a), cast(Edge, b)) for axis, a, b in pairs]

    def extend(self, x: Tensor) -> Tensor:
        return applied(x, self, False) if self.axes and torch.compiler.is_compiling() else self._extend(x)

    def fold(self, u: Tensor) -> Tensor:
        """The adjoint of `extend`."""
        return applied(u, self, True) if self.axes and torch.compiler.is_compiling() else self._fold(u)

    def apart(self, x: Tensor, adjoint: bool) -> Tensor:
        return self._fold(x) if adjoint else self._extend(x)

    def result_shape(self, x: Tensor, adjoint: bool) -> Shape:
        g = self.geometry
        sizes = zip(g.spatial, g.extended, strict=True)
        own = tuple(m if axis in self.axes and not adjoint else n for axis, (n, m) in enumerate(sizes))
        return (*x.shape[: x.ndim - g.ndim], *own)

    def _extend(self, x: Tensor) -> Tensor:
        for axis, dim, before, after in self._each():
            _, _, start, size = self.inside[axis]
            parts = [before.extend(x, dim), x.narrow(dim, start, size), after.extend(x, dim)]
            x = torch.cat([part for part in parts if part.shape[dim]], dim)
        return x

    def _fold(self, u: Tensor) -> Tensor:
        for axis, dim, before, after in reversed(self._each()):
            first, last, start, size = self.inside[axis]
            rest = self.geometry.spatial[axis] - start - size
            x = functional.pad(u.narrow(dim, first, size), [0, 0] * (-dim - 1) + [start, rest])
            x = before.fold(u.narrow(dim, 0, first), x, dim)
            u = after.fold(u.narrow(dim, last, u.shape[dim] - last), x, dim)
        return u


def _inside(geometry: Geometry, axis: int) -> tuple[int, int, int, int]:
    """Where the array's own samples start and stop on the extended axis; where they start in the array, how many."""
    before, after = geometry.padding[axis]
    start = min(max(-before, 0), geometry.spatial[axis])
    stop = max(geometry.spatial[axis] + min(after, 0), start)
    first = min(max(start + before, 0), geometry.extended[axis])
    return first, first + stop - start, start, stop - start


def _resized(x: Tensor, dim: int, size: int) -> list[int]:
    shape = list(x.shape)
    shape[dim] = size
    return shape
