"""What `solve` gives back: the estimate, how it was found, and whether it may be trusted."""

from dataclasses import dataclass
from typing import Any

from ..errors import NotConverged


@dataclass(frozen=True, eq=False)
class Solution:
    """An estimate and its story.

    Attributes
    ----------
    x : ndarray
        `(*batch, *in_shape)`.
    alpha : float or ndarray
        The weight of the penalty; one for each item of the batch where a rule chose it.
    status : str
        "converged", "stalled" (no progress before the tolerance was reached) or "max_iterations".
    method : str
        Which method solved it.
    reason : str
        Why this method, why this alpha, and what to do if it did not converge.
    iterations : int
        Steps taken; 0 for direct methods.
    residual_norms : tuple of float
        After each step the measure that `tol` bounds, the largest of the batch; of "tikhonov" the last is computed
        anew from `x`, those before are as the method knows or estimates it.
    error_bound : float or ndarray
        A proven bound on the relative error of `x` against the exact minimiser, up to the rounding of the residual
        that it is computed from; nan where there is none.
    scene : ndarray, optional
        The whole estimate, past the frame, where `x` is cropped to it.
    """

    x: Any
    alpha: Any
    status: str
    method: str
    reason: str
    iterations: int
    residual_norms: tuple[float, ...]
    error_bound: Any
    scene: Any = None

    def unwrap(self) -> Any:
        """`x`, or NotConverged with the advice if the iteration ended before its tolerance."""
        if self.status == "converged":
            return self.x
        left = self.residual_norms[-1] if self.residual_norms else float("nan")
        raise NotConverged(
            f"the solver ended as '{self.status}' after {self.iterations} steps of method '{self.method}' with "
            f"{left:.2g} left; {self.reason}"
        )

    def __repr__(self) -> str:
        return (
            f"<Solution {'x'.join(map(str, self.x.shape))}, {self.status}, method {self.method}, "
            f"{self.iterations} steps, alpha {self.alpha}>"
        )
