"""The information of measurements of a Matern-5/2 process on a grid."""

from __future__ import annotations

from dataclasses import dataclass

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Seed, Size
from jaxrl.envs.coverage import maps
from jaxrl.envs.sets.log_det import LogDet, LogDetParams, cast_params


@dataclass(frozen=True)
class GridDesign(LogDet):
    """`LogDet` whose default is the Matern-5/2 process on a grid: where to measure next.

    The items are the cells, row by row.
    """

    cols: Size = 30
    """Cells of a row; divides the number of cells."""
    spacing: Positive = 0.1
    """Distance between neighbouring cells, in lengths of the process."""
    variance: Positive = 0.6931471805599453
    """Variance of the process; paper: ln 2."""
    noise: Positive = 1e-2
    """Variance sigma^2 of a measurement, at least 1e-2 in float32; paper: 1e-6, which needs float64."""
    seed: Seed | None = None
    """Seed of five measurements elsewhere that the process knows; None for the process before any."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_items % self.cols:
            raise UsageError(f"GridDesign.cols: {self.n_items} cells are no rows of {self.cols}")

    def default_params(self) -> LogDetParams:
        """The process's kernel. Raises `UsageError` for a noise that is 0 in the default dtype."""
        process = self.n_items // self.cols, self.cols, self.spacing, self.variance
        if self.seed is None:
            kernel = maps.matern_kernel(*process)
        else:
            kernel = maps.posterior_kernel(self.seed, *process)
        return cast_params(kernel, self.noise, "GridDesign")
