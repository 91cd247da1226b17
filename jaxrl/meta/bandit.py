"""The smallest problem of a learned rule: step sizes on Gaussian bandits, with one pull per update.

    theta <- theta - pihat(r, n, N) grad log pi_theta(a),   pi = softmax(theta),   theta_0 = 0

with `mu_k ~ N(0, spread^2)` per task and rewards `N(mu_a, noise^2)`. The return of a lifetime is what its
final policy earns on average, pi_N . mu. A rule of the slot "targets" will do if it reads predictions of one
entry; it sees windows of one step of one worker, so that a baseline over workers takes everything away.

Legend: `K` arms, `n` updates done of `N`, `M` tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.fields import Size, check_fields
from jaxrl.core.prng import stream, streams
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.base import real
from jaxrl.meta.evolution import Problem, Settings
from jaxrl.meta.objective import Objective, Time, Window, time_inputs


@dataclass(frozen=True)
class Config:
    """Sizes of the bandits on which a rule is evolved."""

    arms: Size = 5
    """Number K of arms."""
    horizons: tuple[Size, ...] = (4, 8, 16, 32, 64)
    """Numbers N of pulls; the fitness of a rule is the mean over all of them."""
    tasks: Size = 300
    """Bandits per horizon and pair of perturbations."""

    def __post_init__(self) -> None:
        check_fields(self)


class Params(NamedTuple):
    """Distribution of tasks.

    spread: float[], standard deviation of the arms' means. noise: float[], standard deviation of a reward.
    """

    spread: Array
    noise: Array


def default_params() -> Params:
    """Means and rewards with standard deviation 1."""
    return Params(real(1.0), real(1.0))


def step_size() -> Objective:
    """The rule pihat = -eta r, log eta = w . (1, n/N, ln N) clipped to [-6, 4]; phi is `{"w": float[3]}`.

    With a mask of zeros it is one constant step. The start w = 0 has steps of size 1.
    """

    def start(key: Key) -> PyTree:
        return {"w": jnp.zeros(3, jnp.float32)}

    def apply(phi: PyTree, window: Window, time: Time) -> tuple[Array, Array]:
        return -jnp.exp(log_step(phi["w"], time)) * window.reward, window.y

    return Objective(start, apply, "targets", ("n/N", "ln N"), "step size", ("1", "n/N", "ln N"))


def log_step(w: Array, time: Time) -> Array:
    """float[], clip(w_0 + w_1 n/N + w_2 ln N, -6, 4), with the time inputs masked."""
    inputs = time_inputs(time)
    return jnp.clip(w[0] + w[1] * inputs[0] + w[2] * inputs[1], -6.0, 4.0)


def lifetimes(
    objective: Objective,
    phi: PyTree,
    key: Key,
    N: Array | int,
    told: Array | float,
    mask: Array,
    params: Params,
    *,
    tasks: int,
    arms: int = 5,
) -> Array:
    """float[M], returns pi_N . mu of `tasks` bandits after `N` updates of a rule that is told `told`.

    N: int[], may be traced. Task i has the same arms and random numbers whatever the rule.
    """
    k_means, k_pulls = jax.random.split(key)
    mu = params.spread * jax.random.normal(k_means, (tasks, arms))

    def pull(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        n, theta = carry
        k_arm, k_noise = jax.random.split(stream(k_pulls, n))
        pi = jax.nn.softmax(theta)
        chance = jax.random.uniform(k_arm, (tasks, 1))
        arm = jnp.minimum((jnp.cumsum(pi, axis=1) < chance).sum(axis=1), arms - 1)
        chosen = jax.nn.one_hot(arm, arms)
        reward = (chosen * mu).sum(axis=1) + params.noise * jax.random.normal(k_noise, (tasks,))
        time = Time(n.astype(jnp.float32), jnp.asarray(told, jnp.float32), mask)

        def weight(reward: Array, prob: Array) -> Array:
            return objective.apply(phi, _one_step(reward, prob), time)[0][0, 0]

        pihat = jax.vmap(weight)(reward, (chosen * pi).sum(axis=1))
        return n + 1, theta - pihat[:, None] * (chosen - pi)

    first = (jnp.zeros((), jnp.int32), jnp.zeros((tasks, arms), jnp.float32))
    _, theta = jax.lax.while_loop(lambda carry: carry[0] < N, pull, first)
    return (jax.nn.softmax(theta) * mu).sum(axis=1)


def _one_step(reward: Array, prob: Array) -> Window:
    """The window of one pull, which ends its episode, by a learner without predictions."""
    one, y = jnp.ones((1, 1)), jnp.ones((1, 1, 1))
    return Window(reward[None, None], one, one > 0, prob[None, None], y, y, jnp.ones(()))


def by_horizon(
    config: Config,
    objective: Objective,
    phi: PyTree,
    key: Key,
    mask: Array,
    params: Params,
    *,
    told: float = 1.0,
    played: float = 1.0,
) -> Array:
    """float[H, M], returns by horizon and task.

    told: factor of the horizon that the rule is told. played: share of its lifetime that takes place.
    """
    horizons = jnp.asarray(config.horizons, jnp.int32)

    def one(item: tuple[Array, Array]) -> Array:
        N, index = item
        last = jnp.maximum(jnp.round(played * N), 1).astype(jnp.int32)
        sizes: dict[str, Any] = {"tasks": config.tasks, "arms": config.arms}
        return lifetimes(objective, phi, stream(key, index), last, told * N, mask, params, **sizes)

    return jax.lax.map(one, (horizons, jnp.arange(horizons.size)))


def problem(config: Config, objective: Objective, aware: bool = False) -> Problem:
    """Evolution of a rule by its mean return over horizons and tasks; `data` is `Params`.

    aware: whether a mask without a live time input is refused.
    """

    def fitness(phi: PyTree, task: Key, settings: Settings, params: Params) -> Array:
        return by_horizon(config, objective, phi, task, settings.mask, params).mean()

    def answer(phi: PyTree, obs: PyTree, settings: Settings) -> Array:
        time = Time(obs["progress"][0] * obs["horizon"][0], obs["horizon"][0], settings.mask)
        return objective.apply(phi, _one_step(obs["reward"][0], jnp.ones(())), time)[0][0]

    reads = {
        "horizon": Box(1.0, 1e6, (1,)),
        "progress": Box(0.0, 1.0, (1,)),
        "reward": Box(-np.inf, np.inf, (1,)),
    }
    return Problem(objective.init, streams, fitness, answer, reads, Box(-np.inf, np.inf, (1,)), aware)
