"""Runs in notebooks: a run folder that shows its table and its curves, and gives its curves as arrays.

from jaxrl.cli import api

run = api.run("baselines/ppo_cartpole", "smoke", seeds=3)
run
run.frame()
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.core.errors import JaxrlError
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder


class Run(RunFolder):
    """A run folder that a notebook can show; `repr` is its path and its state.

    root: folder that holds `experiments/`; None looks for it above the run and the working directory.
    """

    root: Path | None = None

    def curves(self, stage: str | None = None) -> dict[str, np.ndarray]:
        """Return what was logged as arrays by name, see `jaxrl.report.curves.curves`."""
        from jaxrl.report import curves

        return curves.curves(self, stage)

    def frame(self) -> Any:
        """Return what was logged as a tidy pandas frame, see `jaxrl.report.curves.frame`."""
        from jaxrl.report import curves

        return curves.frame(self)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, state={self.status.get('state')!r})"

    def _repr_html_(self) -> str:
        """State, table of scores with intervals, and figures, or curves while there are none."""
        from jaxrl.cli import execution
        from jaxrl.report import pages

        try:
            module = catalogue.load(execution.find_root(self.root, self.path), self.experiment)
        except JaxrlError:  # a copied run far from its experiments still shows its curves
            module = None
        return pages.fragment(self, module)
