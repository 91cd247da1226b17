"""What the learning experiments share: hyper-parameters of every suite, evaluation, figures.

Legend: `S` seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.data import recipes
from experiments.shared.returns import offline_returns
from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Space
from jaxrl.core.types import Algorithm, Policy, PyTree
from jaxrl.data.dataset import Dataset
from jaxrl.envs.adapters import gymnasium
from jaxrl.envs.base import Env
from jaxrl.rollout.host import host_evaluate
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, member_keys, sweep

PARAMETERS = {"f-DVL chi2": 0.8, "f-DVL tv": 0.8, "XQL": 1.0, "IQL": 0.7, "SQL": 1.0, "ODICE": 1.0}
"""Parameter of each method, where a task has no other."""


@dataclass(frozen=True)
class Task:
    """Hyper-parameters and evaluation of a suite."""

    hyper: dict[str, float]
    """Hyper-parameters of every method, beside its own parameter."""
    parameters: dict[str, float] = field(default_factory=dict)
    """Parameters of methods in place of those of `PARAMETERS`."""
    patience: int = 1
    """Updates per update of the experiment's configuration."""
    decay: bool = False
    """Whether the policy's learning rate falls to 0 over the run."""
    eval_episodes: int = 64
    """Episodes of the last evaluation."""

    def hyper_of(self, method: str, updates: int) -> dict[str, float]:
        """All hyper-parameters of `method` for a run of `updates` updates that differ from the defaults."""
        values = {"parameter": {**PARAMETERS, **self.parameters}[method], **self.hyper}
        return values | ({"decay_updates": float(updates)} if self.decay else {})


_FAST = {"tau": 0.02, "lr_value": 1e-3, "lr_actor": 1e-3}
_PENDULUM = Task({"gamma": 0.95, "reward_scale": 0.1, **_FAST})
_CAR = Task({"gamma": 0.98, "reward_scale": 0.1, **_FAST})
_MAZE = Task({"gamma": 0.99, "reward_scale": 1.0, **_FAST}, patience=3)
_HOPPER = Task(
    {"gamma": 0.99, "reward_scale": 0.3, **_FAST},  # about 1 a step, as D4RL's returns divided by their range
    {"f-DVL chi2": 0.6, "f-DVL tv": 0.7, "XQL": 2.0},
    patience=3,
    decay=True,
    eval_episodes=10,
)
TASKS = {
    **{f"pendulum-{q}": _PENDULUM for q in recipes.QUALITIES},
    **{f"mountaincar-{q}": _CAR for q in recipes.QUALITIES},
    "maze2d-umaze": _MAZE,
    **{
        f"{hopper}-{q}": _HOPPER
        for hopper in ("brax-hopper", "hopper", "hopper-noisy")
        for q in recipes.QUALITIES
    },
}
"""The task of each suite, by the name of the suite."""


def task(name: str) -> Task:
    """The task of a suite; `UsageError` for names without one."""
    if name not in TASKS:
        raise UsageError(f"task: unknown {name!r}; known: {', '.join(TASKS)}")
    return TASKS[name]


def data_of(name: str, seed: int, episodes: int | None, folder: RunFolder) -> Dataset:
    """The suite called `name`; with `episodes` one of that many (or balls), in the run folder."""
    if episodes is None:
        return recipes.suite(name, seed)
    recipe = recipes.resized(recipes.recipe_of(name), episodes)
    return recipes.suite(name, seed, recipe=recipe, folder=folder.path / "suites")


class World(NamedTuple):
    """The environment of a task: `env`, compiled, or what `make_env` makes on the host."""

    env: Env | None
    make_env: Callable[[], Any] | None
    spaces: tuple[Space, Space]


def world(name: str) -> World:
    """The environment of a suite; raises `MissingExtra` for those of gymnasium where it is not installed."""
    make_env = recipes.host_maker(name)
    if make_env is not None:
        return World(None, make_env, gymnasium.spaces(make_env))
    env = recipes.environment(name)
    return World(env, None, (env.observation_space, env.action_space))


def trained(
    where: World,
    make: Callable[[Any], Algorithm],
    members: Sequence[tuple[Hashable, PyTree]],
    *,
    episodes: int,
    seed: int,
    seeds: int,
    **options: Any,
) -> list[tuple[Member, float]]:
    """A sweep, and the mean return of each member's last greedy policy, NaN where it diverged.

    Arguments are those of `sweep`. Policies of the host act there after the sweep, one member at a time.
    """
    env, make_env = where.env, where.make_env
    evaluation = None if env is None else lambda static: offline_returns(make(static), env, episodes)
    found = sweep(make, members, seed=seed, seeds=seeds, evaluate=evaluation, **options)
    if make_env is None:
        return [(member, float(member.history["eval/return"][-1])) for member in found]
    policies = {static: _policy(make(static)) for static, _ in members}  # each is compiled once
    keys, updates = member_keys(seed, seeds), options["updates"]

    def acted(member: Member) -> float:
        if member.bucket.diverged[member.position]:
            return float("nan")
        _, k_eval = jax.random.split(keys[member.seed])  # as the driver's
        params = member.state, member.hyper
        result = host_evaluate(
            make_env, policies[member.static], params, stream(k_eval, updates), episodes=episodes
        )
        return float(result.returns.mean())

    return [(member, acted(member)) for member in found]


def _policy(algorithm: Algorithm) -> Callable[[PyTree], Policy]:
    return lambda params: algorithm.act(*params, True)


def last(history: np.ndarray) -> float:
    """The last finite entry of a curve `[L]`, NaN where there is none."""
    finite = history[np.isfinite(history)]
    return float(finite[-1]) if finite.size else float("nan")
