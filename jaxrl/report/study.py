"""A study of one algorithm: every point of a grid with every seed, one quantity, its scores and its curves.

An experiment file needs little beside a subclass of `Config` then; one with several stages or quantities
writes its own `run`, `scores` and `figure`.

Legend: `G` grid points, `S` seeds, `L` log points.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.types import Algorithm, PyTree
from jaxrl.report import plots, statistics
from jaxrl.run.folder import RunFolder
from jaxrl.run.grid import check_grid, expand, labels
from jaxrl.run.sweep import sweep


@dataclass(frozen=True)
class Config:
    """The fields of every study; a subclass adds `hyper`, and `algo` where there are static choices."""

    grid: dict[str, tuple[int | float | bool | str, ...]] = field(default_factory=dict)
    """Values to sweep, by field: `hyper.lr` and so on; the run trains every combination."""
    seeds: Size = 8
    """Members per grid point."""
    seed: Seed = 0
    """Root seed; member i depends on it and on i alone."""
    updates: Size = 100
    """Updates per member; `updates_total` of `hyper` is set to it where there is such a field."""

    def __post_init__(self) -> None:
        names = {f.name for f in dataclasses.fields(self)}
        if "hyper" not in names:
            raise UsageError(
                f"{type(self).__name__}: has no field hyper; add one to the subclass of study.Config, which"
                " is a frozen dataclass too"
            )
        check_fields(self)
        check_grid(self, self.grid, lambda point: member(self, point))


def member(study: Any, point: Any) -> tuple[Any, Any]:
    """What a grid point of a study trains: its static choices, None where there are none, and its `hyper`."""
    hyper = point.hyper
    if hasattr(hyper, "updates_total"):
        hyper = hyper.replace(updates_total=float(study.updates))
    return getattr(point, "algo", None), hyper


def run(
    config: Any,
    folder: RunFolder,
    make: Callable[[Any], Algorithm],
    data: PyTree,
    quantity: str,
    **options: Any,
) -> None:
    """Trains every member; saves `update [L]`, `point [G]`, `value [G, S, L]`, `quantity`, `diverged [G, S]`.

    make: the algorithm of `algo`. data: what all members learn from. quantity: a scalar metric of the
    algorithm, or `eval/...` of `evaluate`. options: handed to `sweep`, such as `evaluate` and `eval_every`.

    Raises UsageError where no member has logged `quantity`, or where it is a vector.
    """
    points = [member(config, point) for point in expand(config, config.grid)]
    sizes = {"seeds": config.seeds, "seed": config.seed, "updates": config.updates}
    members = sweep(make, points, **sizes, data=data, folder=folder, **options)
    known = members[0].history
    if quantity not in known:
        raise UsageError(f"study: no metric {quantity!r}; logged are {', '.join(sorted(known)) or 'none'}")
    values = np.stack([one.history[quantity] for one in members])
    if values.ndim != 2:
        raise UsageError(
            f"study: {quantity} is a vector of {values.shape[2:]} numbers; choose a scalar metric"
        )
    shown = np.isfinite(values).any(0)
    folder.save_result(
        update=members[0].update[shown],
        point=labels(config.grid),
        value=values[:, shown].reshape(len(points), config.seeds, int(shown.sum())),
        quantity=quantity,
        diverged=np.array([max(m.first_bad.values()) >= 0 for m in members]).reshape(len(points), -1),
    )


def scores(result: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The last value of every member, `float[S]` per grid point; NaN where a member diverged."""
    value = result["value"]
    last = value[:, :, -1] if value.shape[-1] else np.full(value.shape[:2], np.nan)
    return dict(zip(result["point"].tolist(), np.where(result["diverged"], np.nan, last), strict=True))


def figure(folder: RunFolder) -> list[Path]:
    """A learning curve per grid point."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 1)
        for label, value in zip(result["point"], result["value"], strict=True):
            if not np.isfinite(value).any():  # every member diverged before its first log point
                continue
            plots.learning_curve(axes[0][0], result["update"], value, label=str(label))
        around = "95 % band" if result["value"].shape[1] >= statistics.MIN_RUNS else "every seed"
        axes[0][0].set(xlabel="update", ylabel=f"{result['quantity']} (IQM, {around})")
        if axes[0][0].lines:
            axes[0][0].legend()
        return plots.save(fig, folder.figures / "curves")
