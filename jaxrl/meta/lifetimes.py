"""Lifetimes of learners as pure functions, and many of them with horizons of their own in one program.

A lifetime is a loop whose bound, the true horizon N, is an argument: nothing is padded, and one program
serves every N. What the rule is told is another number, `Hyper.updates_total`. Many lifetimes run in lanes:
with horizons sorted, as `stratified_horizons` draws them, a lane stops at its own longest one, and every task
gets the numbers of a loop of exactly its N updates. Any `Algorithm` of `ppo.make` or `lpg.make` can be the
learner.

Legend: `B` tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Size, check_value
from jaxrl.core.prng import streams
from jaxrl.core.tree import tree_broadcast
from jaxrl.core.types import Algorithm, Array, Key, PyTree
from jaxrl.envs.base import Env, HasTimeLimit, SamplesParams
from jaxrl.rollout.evaluate import evaluate


class Task(NamedTuple):
    """All that makes a lifetime what it is, beside the rule.

    level: the environment's parameters; horizon: int32[], updates; key: every draw depends on it.
    """

    level: PyTree
    horizon: Array
    key: Key


Fitness = Literal["final", "area"]
"""What a lifetime is judged by: the return after it, or the mean return of the episodes that ended during
it."""

Lifetime = Callable[[Any, PyTree, Array, Key], Array]
"""`(hyper, task, horizon, key) -> float[]`: a learner's hyper-parameters with the rule's in them, the
environment's parameters, the number of updates int32[], and a key on which every draw depends."""


def lifetime(
    algorithm: Algorithm, env: Env, *, episodes: int, fitness: Fitness = "final", greedy: bool = False
) -> Lifetime:
    """The return of a learner that starts anew, does N updates and is then evaluated over whole episodes.

    episodes: evaluated, each to its end or the task's own limit. fitness: "area" where no episode ended
    during the lifetime is the return after it. greedy: whether evaluation takes the most probable action
    instead of a sampled one, which hides whether the rule made the policy commit. Parameters that are not
    finite give NaN.

    Raises `UsageError` for an environment without a time limit, vector rewards, and an unknown fitness.
    """
    episodes = check_value("episodes", episodes, Size)
    if fitness not in get_args(Fitness):
        raise UsageError(f"fitness: {fitness!r} is none of {', '.join(get_args(Fitness))}")
    if not isinstance(env, HasTimeLimit):
        raise UsageError(f"{env.name}: has no time limit, so that its return may not exist; wrap it in one")
    if env.reward_dim is not None:
        raise UsageError(f"{env.name}: has {env.reward_dim} rewards; scalarise it, fitness is one number")

    def run(hyper: Any, task: PyTree, horizon: Array, key: Key) -> Array:
        k_learn, k_evaluate = jax.random.split(key)
        state, during = _learn(algorithm, hyper, task, horizon, k_learn, fitness == "area")
        policy = algorithm.act(state, hyper, greedy)
        final = evaluate(env, policy, k_evaluate, task, episodes=episodes).returns.mean()
        total, count = during
        value = jnp.where(count > 0, total / jnp.maximum(count, 1), final)
        return jnp.where(_finite(state.params), value, jnp.nan)

    return run


def _learn(
    algorithm: Algorithm, hyper: Any, task: PyTree, horizon: Array, key: Key, record: bool
) -> tuple[PyTree, tuple[Array, Array]]:
    """`(state, (sum, count))` after `horizon` updates, with the returns of the episodes that ended, if
    recorded.
    """
    nothing = jnp.zeros(()), jnp.zeros(())

    def runs(carry: tuple[PyTree, tuple[Array, Array]]) -> Array:
        return carry[0].updates < horizon

    def update(carry: tuple[PyTree, tuple[Array, Array]]) -> tuple[PyTree, tuple[Array, Array]]:
        state, (total, count) = carry
        state, metrics = algorithm.step(state, hyper, task)
        if record:
            ended = metrics["train/return"]
            total, count = total + ended.total, count + ended.count
        return state, (total, count)

    return jax.lax.while_loop(runs, update, (algorithm.init(key, hyper, task), nothing))


def _finite(params: PyTree) -> Array:
    return jnp.stack([jnp.isfinite(x).all() for x in jax.tree.leaves(params)]).all()


def in_lanes(run: Callable[..., PyTree], width: int) -> Callable[..., PyTree]:
    """`run(*task)` of every task of arguments with leaves `[B, ...]`, `width` tasks at a time and lane after
    lane.

    With sorted horizons a lane stops at the longest of its own. The result of a task depends on its own
    arguments and on `width`, not on the other tasks.

    Raises `UsageError` where `width` does not divide B: a last lane of another width would be compiled again.
    """
    width = check_value("width", width, Size)

    def lanes(*args: PyTree) -> PyTree:
        check_lanes(jax.tree.leaves(args)[0].shape[0], width)
        return jax.lax.map(lambda task: run(*task), args, batch_size=width)

    return lanes


def check_lanes(tasks: int, width: int) -> None:
    """Raises `UsageError` unless `width` divides the number of tasks."""
    if tasks % width:
        raise UsageError(f"width: {width} tasks run together, which does not divide {tasks}; take a divisor")


def check_horizons(low: int, high: int, name: str = "horizons") -> None:
    """Raises `UsageError` unless 1 <= low <= high."""
    if not 1 <= low <= high:
        raise UsageError(f"{name}: must be (low, high) with 1 <= low <= high updates, got {(low, high)}")


def stratified_horizons(key: Key, low: int, high: int, n: int) -> Array:
    """Horizons int32[n] in ascending order, one from each of n slices of a log-uniform distribution.

    N_i = rint(exp(ln low + (i + u_i) / n ln(high / low))), u_i uniform: a horizon chosen at random among them
    has the whole distribution, and that of one draw of all n is even.

    Raises `UsageError` unless 1 <= low <= high.
    """
    check_horizons(low, high)
    u = (jnp.arange(n) + jax.random.uniform(key, (n,))) / n
    return jnp.rint(jnp.exp(np.log(low) + u * np.log(high / low))).astype(jnp.int32)


def work_in_lanes(horizons: np.ndarray, width: int) -> int:
    """Updates that lanes of `width` compute for these horizons int[B]: in each as many as its longest has,
    for all.

    Raises `UsageError` where `width` does not divide their number.
    """
    check_lanes(len(horizons), width)
    return int(np.reshape(horizons, (-1, width)).max(1).sum()) * width


def draw_tasks(env: Env, low: int, high: int) -> Callable[[Key, int], Task]:
    """`(key, n) -> Task`, leaves `[n, ...]`: levels of the environment, and sorted horizons in [low, high].

    An environment that samples no parameters has its default ones in every task.

    Raises `UsageError` unless 1 <= low <= high.
    """
    check_horizons(low, high)

    def draw(key: Key, n: int) -> Task:
        k_level, k_horizon, k_run = jax.random.split(key, 3)
        if isinstance(env, SamplesParams):
            level = jax.vmap(env.sample_params)(streams(k_level, n))
        else:
            level = tree_broadcast(env.default_params(), n)
        return Task(level, stratified_horizons(k_horizon, low, high, n), streams(k_run, n))

    return draw
