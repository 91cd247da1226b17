"""The information of measurements of a Matern-5/2 process on a grid."""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from jaxrl.core.errors import UsageError
from jaxrl.envs.base import real
from jaxrl.envs.coverage import maps
from jaxrl.envs.sets.log_det import LogDet, LogDetParams


@dataclass(frozen=True)
class GridDesign(LogDet):
    """`LogDet` whose default is the Matern-5/2 process on a grid: where to measure next.

    n_items: rows * cols; capacity: `states`. spacing: between cells, in lengths of the process; variance: of
    the process, default ln 2; noise: sigma^2, at least 1e-2 in float32.
    """

    cols: int = 30
    spacing: float = 0.1
    variance: float = 0.6931471805599453
    noise: float = 1e-2
    seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cols < 1 or self.n_items % self.cols:
            raise UsageError(f"GridDesign.cols: {self.n_items} cells are no rows of {self.cols}")
        for field in ("spacing", "variance", "noise"):
            if not getattr(self, field) > 0:
                raise UsageError(f"GridDesign.{field}: must be > 0, got {getattr(self, field)}")

    def default_params(self) -> LogDetParams:
        """See the class."""
        process = self.n_items // self.cols, self.cols, self.spacing, self.variance
        if self.seed is None:
            kernel = maps.matern_kernel(*process)
        else:
            kernel = maps.posterior_kernel(self.seed, *process)
        return LogDetParams(jnp.asarray(kernel, jnp.result_type(float)), real(self.noise))
