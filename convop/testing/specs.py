"""Calls of convop's doors as plain data: `build()` makes the operator, `repr` is the call as one would type it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..algebra import Identity
from ..arguments import Shape
from ..convolution import Convolution
from ..dtypes import Array
from ..layers import conv_layer, conv_transpose_layer
from ..operator import Operator
from ..selection import Diagonal, Extend, Select, Unfold


def literal(value: Any) -> str:
    """A value as one would type it."""
    if not isinstance(value, np.ndarray):
        return repr(value)
    entries = np.array2string(value, separator=", ", threshold=value.size + 1, floatmode="unique")
    return f"np.array({' '.join(entries.split())}, {str(value.dtype)!r})"


def call(name: str, *arguments: Any, **options: Any) -> str:
    """A call as one would type it."""
    named = [f"{key}={literal(value)}" for key, value in options.items()]
    return f"convop.{name}({', '.join([*map(literal, arguments), *named])})"


@dataclass
class ConvolutionSpec:
    """A call of `convop.Convolution`."""

    kernel: Array
    in_shape: Shape
    mode: str
    boundary: Any
    center: Shape | None
    stride: Shape
    dilation: Shape

    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"mode": self.mode, "stride": self.stride, "dilation": self.dilation}
        if self.mode != "full":
            options["boundary"] = self.boundary
        if self.mode == "same":
            options["center"] = self.center
        return options

    def build(self) -> Convolution:
        return Convolution(self.kernel, self.in_shape, **self.options())

    def __repr__(self) -> str:
        return call("Convolution", self.kernel, self.in_shape, **self.options())


@dataclass
class LayerSpec:
    """A call of `convop.conv_layer`."""

    weight: Array
    in_shape: Shape
    stride: Shape
    padding: Any
    dilation: Shape
    groups: int
    boundary: Any

    def options(self) -> dict[str, Any]:
        options = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        return {**options, "groups": self.groups, "boundary": self.boundary}

    def build(self) -> Convolution:
        layer = conv_layer(self.weight, self.in_shape, **self.options())
        assert isinstance(layer, Convolution)  # there is no bias
        return layer

    def __repr__(self) -> str:
        return call("conv_layer", self.weight, self.in_shape, **self.options())


@dataclass
class TransposeSpec:
    """A call of `convop.conv_transpose_layer`."""

    weight: Array
    in_shape: Shape
    stride: Shape
    padding: Shape
    output_padding: Shape
    dilation: Shape
    groups: int

    def options(self) -> dict[str, Any]:
        options = {"stride": self.stride, "padding": self.padding, "output_padding": self.output_padding}
        return {**options, "dilation": self.dilation, "groups": self.groups}

    def build(self) -> Operator:
        return conv_transpose_layer(self.weight, self.in_shape, **self.options())

    def __repr__(self) -> str:
        return call("conv_transpose_layer", self.weight, self.in_shape, **self.options())


@dataclass
class PlainSpec:
    """A call of `Identity`, `Diagonal`, `Select`, `Extend` or `Unfold`."""

    kind: type[Identity | Diagonal | Select | Extend | Unfold]
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    def build(self) -> Operator:
        return self.kind(*self.arguments, **self.options)

    def __repr__(self) -> str:
        return call(self.kind.__name__, *self.arguments, **self.options)


Spec = ConvolutionSpec | LayerSpec | TransposeSpec | PlainSpec
