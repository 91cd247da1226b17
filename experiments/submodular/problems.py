"""Problems and learners that the experiments on SubPO choose from, with the settings of the released code.

Legend: `V` cells of a map of R rows and C columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import jax
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, check_fields
from jaxrl.core.types import Algorithm
from jaxrl.envs.base import Env
from jaxrl.envs.coverage.coverage_grid import coverage_grid, two_rooms
from jaxrl.envs.coverage.gp_design import gp_design
from jaxrl.envs.coverage.item_collection import item_collection
from jaxrl.envs.coverage.maps import GORILLA_UNIT, random_items
from jaxrl.envs.sets.grid_coverage import FootprintParams
from jaxrl.envs.sets.items import ItemParams
from jaxrl.submodular import proximal, subpo
from jaxrl.submodular.credit import SUMS, Credit
from jaxrl.submodular.features import with_features


@dataclass(frozen=True)
class Problem:
    """A map or a family of maps, and how the released code trains on it."""

    make: Callable[..., Env]
    """`(map, show_history, show_stat, modular) -> SetReward`."""
    shape: tuple[int, int]
    """Rows and columns of the map."""
    updates: int
    """Updates of the released configuration."""
    lr: float
    """Learning rate of the released configuration."""
    best: float = 0.0
    """The optimum, or the largest value known to us; 0 where none is known."""
    states: int = 40
    """Visited states of an episode, the first included."""
    unit: float = 1.0
    """Factor from F to the unit of printed values."""
    maps: int = 1
    """Number of maps of the family."""
    markov: str = "markov_raw"
    """Features of Markov policies, see `features.py`."""
    history: str = "history_raw"
    """Features of policies that see the past, see `features.py`."""

    def env(self, features: str, modular: bool) -> Env:
        """The environment of map 0; parameters of the others fit it."""
        problem = partial(self.make, 0, states=self.states, modular=modular)
        return with_features(features, problem, self.shape[0] * self.shape[1])

    def data(self, count: int) -> list[Any]:
        """Parameters of the first `count` maps."""
        return [self.make(i, states=self.states).default_params() for i in range(count)]


def _fixed(make: Callable[..., Env], *args: Any, **fields: Any) -> Callable[..., Env]:
    return lambda _, **shown: make(*args, **fields, **shown)


def _gp_map(seed: int, **shown: Any) -> Env:
    return coverage_grid("gp", seed=seed, **shown)


def _noisy_items(seed: int, **shown: Any) -> Env:
    return item_collection(random_items(seed), slip=0.1, **shown)


def _design(seed: int, **shown: Any) -> Env:
    return gp_design(seed=seed, **shown)


ProblemName = Literal[
    "bimodal", "gorilla", "gp", "coverage", "items", "noisy items", "design", "designs", "two rooms"
]
PROBLEMS: dict[ProblemName, Problem] = {
    "bimodal": Problem(_fixed(coverage_grid, "bimodal"), (30, 30), 140, 1e-3, best=51.45),
    "gorilla": Problem(_fixed(coverage_grid, "gorilla"), (30, 30), 140, 1e-3, best=2687.0, unit=GORILLA_UNIT),
    "gp": Problem(_gp_map, (30, 30), 140, 1e-3, maps=10),
    "coverage": Problem(_fixed(coverage_grid), (30, 30), 50, 1e-2, best=162.0, states=80),
    "items": Problem(_fixed(item_collection), (7, 15), 150, 5e-3, best=21.0),
    "noisy items": Problem(_noisy_items, (7, 15), 150, 5e-3, best=21.0, maps=10),
    "design": Problem(_fixed(gp_design), (30, 30), 150, 1e-3),
    "designs": Problem(_design, (30, 30), 150, 1e-3, maps=10),
    "two rooms": Problem(
        _fixed(two_rooms), (7, 14), 140, 3e-3, best=68.0, markov="markov", history="visited"
    ),
}


@dataclass(frozen=True)
class Learner:
    """SubPO with one credit. Without `fisher` and `epochs` an update is one step of Adam."""

    credit: Credit = "to_go"
    """What the score of an action is multiplied by, see `credit.py`."""
    baseline: Literal["none", "batch", "critic"] = "batch"
    """What is taken off the credit, see `reinforce.Config`."""
    remembers: bool = False
    """Whether the policy sees the past (NM)."""
    modular: bool = False
    """Whether own values are paid in place of gains (ModPO)."""
    memory: Count = 0
    """Width of a GRU over one-hot cells and steps; 0 for none."""
    fisher: Count = 0
    """Iterations of the natural gradient; 0 for the plain one."""
    epochs: Count = 0
    """Passes of PPO over each batch; 0 for no PPO."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.epochs and self.modular:
            raise UsageError("Learner.modular: PPO is compared on gains alone; take modular=False")

    def static(self, problem: Problem, n_envs: int) -> tuple[str, bool, subpo.Config | proximal.Config]:
        """`(features, modular, configuration)`: what decides the program. Sums of gains share one program."""
        config: subpo.Config | proximal.Config
        if self.epochs:
            # raw features are up to 899, which orthogonal weights and tanh do not bear
            config = proximal.Config(
                n_envs,
                problem.states - 1,
                epochs=self.epochs,
                normalise_obs=True,
                credit=self.credit,
            )
        else:
            config = subpo.Config(
                n_envs=n_envs,
                length=problem.states - 1,
                baseline=self.baseline,
                memory=self.memory,
                fisher=self.fisher,
                credit="gae" if self.credit == "gae" else "mixture",
            )
        features = problem.history if self.remembers else problem.markov
        return "markov" if self.memory else features, self.modular, config

    def hyper(self, problem: Problem) -> subpo.Hyper | ppo.Hyper:
        """The hyper-parameters of this learner on a problem."""
        if self.epochs:
            return ppo.Hyper(lr=1e-3, gamma=1.0, entropy=0.0)
        share = tuple(float(self.credit == name) for name in SUMS)
        # the natural direction has a length of its own, bounded by the trust region
        return subpo.Hyper(lr=1.0 if self.fisher else problem.lr, mixture=share)


LearnerName = Literal[
    "M",
    "NM",
    "ModPO",
    "M official",
    "NM official",
    "ModPO official",
    "M total",
    "M marginal",
    "M prefix",
    "M gae",
    "M natural",
    "M PPO",
    "NM GRU",
]
LEARNERS: dict[LearnerName, Learner] = {
    "M": Learner(),
    "NM": Learner(remembers=True),
    "ModPO": Learner(modular=True),
    "M official": Learner("prefix", baseline="none"),
    "NM official": Learner("prefix", baseline="none", remembers=True),
    "ModPO official": Learner("prefix", baseline="none", modular=True),
    "M total": Learner("total"),
    "M marginal": Learner("marginal"),
    "M prefix": Learner("prefix"),
    "M gae": Learner("gae", baseline="critic"),
    "M natural": Learner(fisher=10),
    "M PPO": Learner("gae", epochs=4),
    "NM GRU": Learner(memory=32),
}
"""`official` is what the released grid code does: prefix sums and no baseline, on raw features."""


def make(config: subpo.Config | proximal.Config, env: Env) -> Algorithm:
    """The algorithm of a learner's static part."""
    return proximal.make(config, env) if isinstance(config, proximal.Config) else subpo.make(config, env)


def picture(problem: Problem, data: Any) -> np.ndarray:
    """float64[R, C]: weights, kinds of items from 1 on with 0 for none, or zeros; NaN in blocked cells."""
    F, place = data.F, data.env.env
    values = np.zeros(problem.shape)
    if isinstance(F, FootprintParams):
        values = np.asarray(F.weight, np.float64).reshape(problem.shape)
    if isinstance(F, ItemParams):
        kind = np.asarray(F.kind, np.float64).reshape(problem.shape)
        values = kind + 1
    return np.where(np.asarray(place.free).reshape(problem.shape), values, np.nan)


def stacked(data: list[Any], seeds: int, copies: int) -> Any:
    """Leaves `[copies * maps * seeds, ...]`, each map repeated for its seeds, all of it `copies` times."""
    return jax.tree.map(
        lambda *x: np.tile(np.repeat(np.stack(x), seeds, 0), (copies, *(1,) * x[0].ndim)), *data
    )
