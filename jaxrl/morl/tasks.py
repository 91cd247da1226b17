"""Task records: environment, reference point, discount, horizon and evaluation in one table.

A hypervolume means something beside these numbers alone: one evaluation discount per task, not per algorithm,
and one reference point. Results carry their record, and `check_same_record` refuses results of different ones
in one table or figure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import numpy as np

from jaxrl.core.errors import UsageError, nearest
from jaxrl.core.fields import Range, Share, Size, check_fields
from jaxrl.envs import catalogue
from jaxrl.envs.adapters.brax_objectives import brax_objectives
from jaxrl.envs.base import Env
from jaxrl.morl.metrics import weight_lattice


@dataclass(frozen=True)
class Task:
    """What has to agree before two results are compared."""

    environment: str
    """Name in the catalogue of environments, or `brax <backend> <task>` of `brax_objectives`."""
    reference: tuple[float, ...]
    """Reference point of the hypervolume, float[m], in units of the returns."""
    gamma: Share
    """Discount of the returns that are evaluated, whatever a learner trains with."""
    horizon: Size
    """Number of steps after which an evaluated episode is cut."""
    evaluation: Literal["exact", "greedy", "sampled"]
    """How a policy is evaluated: by dynamic programming on tables, or by episodes with the likeliest or with
    sampled actions."""
    grid_step: Annotated[float, Range(0, 1, open_low=True)]
    """Step of the lattice of preferences over which the utility is averaged; one over it is an integer."""

    def __post_init__(self) -> None:
        check_fields(self)
        weight_lattice(len(self.reference), self.grid_step)

    def make(self) -> Env:
        """The environment; raises `UsageError` where its rewards have another length than the reference."""
        kind, _, rest = self.environment.partition(" ")
        if kind == "brax":
            backend, _, body = rest.partition(" ")
            env: Env = brax_objectives(body, backend)
        else:
            env = catalogue.make(self.environment)
        if env.reward_dim != len(self.reference):
            raise UsageError(
                f"reference: has {len(self.reference)} numbers, but {self.environment} pays {env.reward_dim} "
                "rewards"
            )
        return env

    def preferences(self) -> np.ndarray:
        """Lattice of preferences float64`[W, m]` of the expected utility."""
        return weight_lattice(len(self.reference), self.grid_step)

    def record(self) -> dict[str, object]:
        """The record as plain numbers and strings, for the metadata of a result."""
        return asdict(self)


def _brax(name: str, m: int) -> Task:
    return Task(f"brax spring {name}", (-100.0,) * m, 0.99, 500, "greedy", 0.01 if m == 2 else 0.1)


TASKS = {
    "dst-convex": Task("DeepSeaTreasure", (0.0, -50.0), 0.99, 100, "exact", 0.01),
    "dst-concave": Task("DeepSeaTreasure-concave", (0.0, -50.0), 0.99, 100, "exact", 0.01),
    "dst-mirrored": Task("DeepSeaTreasure-mirrored", (0.0, -50.0), 0.99, 100, "exact", 0.01),
    "dst-convex-episodes": Task("DeepSeaTreasure", (0.0, -50.0), 0.99, 100, "sampled", 0.01),
    "resource-gathering": Task("ResourceGathering", (-1.0, -1.0, -2.0), 0.99, 100, "exact", 0.1),
    "fruit-tree-5": Task("FruitTree-5", (-1.0,) * 6, 0.99, 5, "greedy", 0.5),
    "fruit-tree-6": Task("FruitTree-6", (-1.0,) * 6, 0.99, 6, "greedy", 0.5),
    "fruit-tree-7": Task("FruitTree-7", (-1.0,) * 6, 0.99, 7, "greedy", 0.5),
    "four-room": Task("FourRoom", (-1.0,) * 3, 0.99, 200, "greedy", 0.1),
    "minecart": Task("Minecart", (-1.0, -1.0, -200.0), 0.98, 500, "greedy", 0.5),
    "minecart-deterministic": Task("Minecart-deterministic", (-1.0, -1.0, -200.0), 0.98, 500, "greedy", 0.5),
    "building-3": Task("Building-3", (0.0,) * 3, 1.0, 480, "greedy", 0.1),
    "building-9": Task("Building-9", (0.0,) * 9, 1.0, 480, "greedy", 0.5),
    "reacher": Task("Reacher", (-20.0,) * 4, 0.99, 50, "greedy", 0.1),
    **{
        f"{body}-2": _brax(f"{body}-2", 2)
        for body in ("hopper", "halfcheetah", "ant", "walker2d", "humanoid")
    },
    **{f"{body}-3": _brax(f"{body}-3", 3) for body in ("hopper", "ant")},
}
"""Records by name. Those of brax's bodies hold for its back-end `spring` alone."""


def task(name: str) -> Task:
    """The record called `name`; raises `UsageError` with the nearest name where there is none."""
    if name not in TASKS:
        raise UsageError(f"task {name!r} does not exist; {nearest(name, TASKS)}")
    return TASKS[name]


def check_same_record(records: Iterable[tuple[str, dict[str, object]]]) -> None:
    """Raise `UsageError` unless the named records agree, with the first field that differs.

    records: pairs of the name of a result and its `Task.record`.
    """
    first: tuple[str, dict[str, object]] | None = None
    for name, record in records:
        if first is None:
            first = name, record
            continue
        for field in sorted(first[1].keys() | record.keys()):
            if first[1].get(field) != record.get(field):
                raise UsageError(
                    f"{field}: is {first[1].get(field)} in {first[0]} and {record.get(field)} in {name}; "
                    "results of different task records do not belong in one table or figure"
                )
