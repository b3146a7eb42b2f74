"""The random calls of `convop.testing`, each with the dense matrix that the oracle says it must be.

A spec is plain data: `build()` makes convop's operator, `matrix()` the oracle's.
"""

from dataclasses import dataclass

import numpy as np
import oracle
from hypothesis import strategies as st

from convop.testing import recipes, specs
from convop.testing.dice import Dice as Dice
from convop.testing.dice import HypothesisDice as HypothesisDice
from convop.testing.dice import values as values
from convop.testing.expressions import expression as random_expression
from convop.testing.form_laws import pinned as pinned
from convop.testing.form_laws import served_by as served_by
from convop.testing.limits import DTYPES as DTYPES
from convop.testing.limits import Limits


class ConvolutionSpec(specs.ConvolutionSpec):
    def matrix(self):
        return oracle.convolution_matrix(self.kernel, self.in_shape, **self.options())


class LayerSpec(specs.LayerSpec):
    def matrix(self):
        return oracle.layer_matrix(self.weight, self.in_shape, **self.options())


class TransposeSpec(specs.TransposeSpec):
    def matrix(self):
        return oracle.transpose_layer_matrix(self.weight, self.in_shape, **self.options())


KNOWN = {cls.__base__: cls for cls in (ConvolutionSpec, LayerSpec, TransposeSpec)}


def known(spec):
    """A spec that knows its matrix."""
    return KNOWN[type(spec)](**vars(spec))


def convolution(dice, dtypes=DTYPES):
    return known(recipes.convolution(dice, Limits(dtypes)))


def convolution_on(dice, in_shape, dtypes=DTYPES):
    """A convolution that fits a given input, for products."""
    return known(recipes.convolution_on(dice, in_shape, Limits(dtypes)))


def layer(dice, dtypes=DTYPES):
    return known(recipes.layer(dice, Limits(dtypes)))


def layer_on(dice, in_shape, dtypes=DTYPES):
    """A layer that fits a given input, for products."""
    return known(recipes.layer_on(dice, in_shape, Limits(dtypes)))


def transpose_layer(dice, dtypes=DTYPES):
    return known(recipes.transpose_layer(dice, Limits(dtypes)))


@dataclass
class Known:
    """An operator, the dense matrix it must be, and the type it must have, through the same algebra."""

    operator: object
    matrix: np.ndarray
    dtype: object

    @classmethod
    def of(cls, spec):
        operator = spec.build()
        if isinstance(spec, specs.ConvolutionSpec):
            return cls(operator, known(spec).matrix(), spec.kernel.dtype)
        diagonal = spec.arguments[0] if isinstance(spec.arguments[0], np.ndarray) else np.ones(spec.arguments[0])
        dtype = spec.options.get("dtype", diagonal.dtype)
        return cls(operator, np.diag(diagonal.ravel()).astype(complex), dtype)

    def __matmul__(self, other):
        dtype = np.result_type(self.dtype, other.dtype)
        return Known(self.operator @ other.operator, self.matrix @ other.matrix, dtype)

    def __add__(self, other):
        dtype = np.result_type(self.dtype, other.dtype)
        return Known(self.operator + other.operator, self.matrix + other.matrix, dtype)

    def __sub__(self, other):
        dtype = np.result_type(self.dtype, other.dtype)
        return Known(self.operator - other.operator, self.matrix - other.matrix, dtype)

    def __rmul__(self, scalar):
        return Known(scalar * self.operator, scalar * self.matrix, np.result_type(self.dtype, scalar))

    def __pow__(self, exponent):
        return Known(self.operator**exponent, np.linalg.matrix_power(self.matrix, exponent), self.dtype)

    @property
    def H(self):
        return Known(self.operator.H, self.matrix.conj().T, self.dtype)

    @property
    def T(self):
        return Known(self.operator.T, self.matrix.T, self.dtype)

    def conj(self):
        return Known(self.operator.conj(), self.matrix.conj(), self.dtype)


def expression(dice, grid, depth, dtypes=DTYPES):
    """A random expression in operators on one grid: `(operator, dense matrix, dtype)`."""
    drawn = random_expression(dice, grid, depth, Limits(dtypes), Known.of)
    return drawn.operator, drawn.matrix, drawn.dtype


def _strategy(recipe):
    @st.composite
    def drawn(draw, dtypes=DTYPES):
        return recipe(HypothesisDice(draw), dtypes)

    return drawn


convolutions = _strategy(convolution)
layers = _strategy(layer)
transpose_layers = _strategy(transpose_layer)
