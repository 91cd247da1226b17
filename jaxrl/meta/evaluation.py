"""Evaluation of a frozen objective on any environment with a time limit, at any horizon.

    evaluate_objective("lpo_cartpole", "Acrobot", 80)                  # told the truth
    evaluate_objective("ta_lpo_cartpole", "CartPole", 40, told=160)    # told another horizon
    evaluate_objective("ta_lpo_cartpole", "CartPole", 40, stopped=20)  # stopped half-way
    evaluate_objective(Path("my.json"), "CartPole", 40)                # a file of one's own

Lifetimes of one seed have the same levels and keys whatever the rule, the horizon and what is told, so that
differences between two calls are paired, lifetime by lifetime. The unit is a held-out lifetime: an interval
over lifetimes is about this objective. It says nothing about the method that found it, whose unit is the
meta-seed.

Legend: `B` lifetimes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_numbers, check_value
from jaxrl.core.types import Algorithm, Array, Key, PyTree
from jaxrl.envs import catalogue
from jaxrl.envs.base import Env
from jaxrl.meta import drift, lpg, zoo
from jaxrl.meta.lifetimes import Lifetime, Task, check_lanes, draw_tasks, in_lanes, lifetime
from jaxrl.meta.objective import Objective, check_mask, mask_of
from jaxrl.meta.zoo import Entry

TOGETHER = 16  # lifetimes in one lane: of more, the samples leave the cache of a CPU
UNITS = 32  # networks of drifts are filled up to a multiple of it, so that rules share a program
DEGREE = 2  # closed forms are filled up to it, likewise
LEARNERS: dict[str, tuple[Any, Any]] = {
    "drift": (
        ppo.Config(n_envs=8, length=32, epochs=8, minibatches=4, widths=(32, 32)),
        ppo.Hyper(lr=1e-2),
    ),
    "targets": (lpg.Config(n_envs=8), lpg.Hyper()),
}
"""Static choices and hyper-parameters of the learner by slot: a PPO with 32 gradient steps per update, in
which a drift matters, and linear maps on 8 workers."""


def evaluate_objective(
    rule: Entry | str | Path,
    env: Env | str,
    horizon: int,
    *,
    told: float | None = None,
    stopped: int | None = None,
    tasks: Task | int = 64,
    seed: int = 0,
    learner: ppo.Config | lpg.Config | None = None,
    hyper: ppo.Hyper | lpg.Hyper | None = None,
    mask: Any = None,
    episodes: int = 8,
    greedy: bool = False,
    together: int = TOGETHER,
    own_program: bool = False,
) -> np.ndarray:
    """Returns after lifetimes of new learners that a rule tells how to update, float[B].

    rule: a name of the zoo, the path of a file that `zoo.save` wrote, or an `Entry` of a rule made by hand.
    env: an environment or its name in the catalogue. horizon: updates N. told: horizon that the rule is
    told, in updates, N by default. stopped: updates after which the lifetime ends all the same, N by default;
    what is told stays. tasks: their number B, or tasks of one's own, whose horizons are not read. seed: of
    the levels and keys; lifetime i depends on it and on i alone. learner, hyper: of the slot, those of
    `LEARNERS` by default. mask: float[5], factors of the time inputs, all that the rule reads by default.
    episodes: evaluated after a lifetime. greedy: whether they take the most probable action and not a
    sampled one; training is the same. together: lifetimes that run in one lane, a divisor of B where it is
    smaller. own_program: whether a drift of `jaxrl.meta.drift` runs in a program of its own size; by default
    all networks and rules made by hand share one, and closed forms another, in which what a rule does not
    have is zero, and the clip of values is the rule's.

    A learner that diverges has the return NaN.

    Raises:
        UsageError: an unknown rule or environment, one with vector rewards or without a time limit, targets
            on continuous actions, a learner of the other slot, or numbers out of range.
        CorruptInput: the files of the rule are damaged or do not fit it.
    """
    entry = _entry(rule)
    env = catalogue.make(env) if isinstance(env, str) else env
    horizon = check_value("horizon", horizon, Size)
    stopped = horizon if stopped is None else check_value("stopped", stopped, Size)
    if stopped > horizon:
        raise UsageError(f"stopped: must be at most the horizon of {horizon} updates, got {stopped}")
    told = float(horizon if told is None else told)
    if not 1 <= told < np.inf:
        raise UsageError(f"told: must be a horizon of at least 1 update, got {told:g}")
    mask = np.asarray(mask_of(entry.objective.inputs) if mask is None else mask, np.float32)
    check_mask(mask, False)
    objective, phi = (entry.objective, entry.phi) if own_program else _shared(entry.objective, entry.phi)
    config, numbers = _learner(entry, learner, hyper)
    if isinstance(tasks, Task):
        levels, keys = tasks.level, tasks.key
    else:
        levels, _, keys = draw_tasks(env, 1, 1)(jax.random.key(seed), check_value("tasks", tasks, Size))
    phi, told, mask = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (phi, told, mask))
    numbers = _TOLD[objective.slot](numbers, phi, told, mask)
    static = (
        _bare(objective),
        env,
        config,
        check_value("episodes", episodes, Size),
        bool(greedy),
        min(check_value("together", together, Size), len(keys)),
    )
    # what does not fit is refused here, and not while a program is traced
    check_lanes(len(keys), static[-1])
    algorithm, _ = _parts(*static[:-1])
    if algorithm.check_hyper is not None:
        algorithm.check_hyper(numbers, levels)
    return np.asarray(_returns(*static, numbers, levels, keys, jnp.int32(stopped)))


def _bare(objective: Objective) -> Objective:
    """A drift without what makes no program, so that equal rules share one."""
    if objective.slot != "drift":
        return objective
    return dataclasses.replace(objective, init=_nothing, inputs=(), name="", features=(), reads=None)


def _nothing(key: Key) -> PyTree:
    return ()


def _parts(
    objective: Objective, env: Env, learner: Any, episodes: int, greedy: bool
) -> tuple[Algorithm, Lifetime]:
    algorithm = _MAKE[objective.slot](learner, env, objective)
    return algorithm, lifetime(algorithm, env, episodes=episodes, greedy=greedy)


@partial(jax.jit, static_argnums=range(6))
def _returns(
    objective: Objective,
    env: Env,
    learner: Any,
    episodes: int,
    greedy: bool,
    together: int,
    hyper: Any,
    levels: PyTree,
    keys: Array,
    updates: Array,
) -> Array:
    """float[B], after `updates` [] of learners with levels `[B, ...]` and keys [B]."""
    _, one = _parts(objective, env, learner, episodes, greedy)
    return in_lanes(lambda level, key: one(hyper, level, updates, key), together)(levels, keys)


_MAKE: dict[str, Callable[[Any, Env, Objective], Algorithm]] = {"drift": drift.learner, "targets": lpg.make}
_TOLD: dict[str, Callable[..., Any]] = {"drift": drift.told, "targets": lpg.told}


def _entry(rule: Entry | str | Path) -> Entry:
    if isinstance(rule, Entry):
        return rule
    if isinstance(rule, Path) or rule.endswith((".npz", ".json")):
        return zoo.read(rule)
    return zoo.load(rule)


def _shared(objective: Objective, phi: PyTree) -> tuple[Objective, PyTree]:
    """A drift of `jaxrl.meta.drift` as a member of its family, or of the closed forms, of a size that many
    share; others stay.
    """
    if objective.apply is not drift.f:
        return objective, phi
    if "coefficients" in phi:
        degree = phi["coefficients"].shape[-1] - 1
        more = ((0, 0), (0, 0), (0, max(0, DEGREE - degree)))
        padded = phi | {"coefficients": jnp.pad(phi["coefficients"], more)}
        return drift.ta_dpo(max(degree, DEGREE)), padded
    features, hidden = np.shape(phi["W1"]) if "W1" in phi else (0, 0)
    hidden = UNITS * max(1, -(-hidden // UNITS))
    blocks = max(2, features // len(drift.FEATURES))
    return drift.family(hidden, blocks), drift.padded(phi, hidden, blocks)


def _learner(entry: Entry, learner: Any, hyper: Any) -> tuple[Any, Any]:
    """Static choices and hyper-parameters of the learner, which must be those of the rule's slot."""
    slot = entry.objective.slot
    found = []
    for name, given, own in zip(("learner", "hyper"), (learner, hyper), LEARNERS[slot], strict=True):
        if given is not None and not isinstance(given, type(own)):
            module = type(own).__module__.rpartition(".")[2]
            raise UsageError(
                f'{name}: {entry.name} is of the slot "{slot}", whose learner takes a '
                f"{module}.{type(own).__name__}, not a {type(given).__module__}.{type(given).__name__}"
            )
        found.append(own if given is None else given)
    check_numbers(found[1])
    return found[0], found[1]
