"""Many small linear systems, each by the inverse of its matrix."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arrays import Arrays


class Dense:
    """Matrices `(*many, t, t)`, inverted as precisely as they are given."""

    def __init__(self, matrices: Any, arrays: "Arrays") -> None:
        self.arrays, self.matrices = arrays, arrays.working(matrices)
        self.inverses = arrays.working(arrays.inverses(matrices))

    def solve(self, right: Any) -> Any:
        """The solutions for right-hand sides `(batch, *many, t)`."""
        return self.arrays.each_times(self.inverses, right)

    def multiply(self, vectors: Any) -> Any:
        """The products with vectors `(batch, *many, t)`."""
        return self.arrays.each_times(self.matrices, vectors)
