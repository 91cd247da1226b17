"""What the learning experiments share: tasks with scripted experts, datasets, evaluation, scores.

Everything follows from seeds; nothing is read from disk. Legend: `S` seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree
from jaxrl.data.collect import recorded
from jaxrl.data.dataset import Dataset
from jaxrl.data.episodes import drop_padding, episode_returns
from jaxrl.envs.base import Env
from jaxrl.envs.classic import MountainCar, Pendulum
from jaxrl.rollout.evaluate import evaluate
from jaxrl.run import statistics, style

LIMIT = 200  # steps, of both tasks


class Task(NamedTuple):
    """env: with a time limit. expert: scripted. numbers: of the learner, beside the method's parameter."""

    env: Env
    expert: Policy
    numbers: dict[str, float]


def _swing_up(key: Key, obs: Array, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
    """Pumps energy until the pendulum is almost upright, then holds it by position and speed."""
    cos, sin, speed = obs
    energy = speed**2 / 2 + 15 * (cos - 1)
    pump = jnp.where(speed < 0, -1.0, 1.0) * jnp.clip(-energy, -2.0, 2.0)
    hold = -(10 * jnp.arctan2(sin, cos) + 3 * speed)
    return jnp.clip(jnp.where(cos > 0.85, hold, pump), -2.0, 2.0)[None], (), memory


def _rock(key: Key, obs: Array, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
    """Pushes the car the way it moves."""
    return jnp.where(obs[1] >= 0, 2, 0).astype(jnp.int32), (), memory


_FAST = {"tau": 0.02, "lr_value": 1e-3, "lr_actor": 1e-3, "reward_scale": 0.1}
TASKS = {
    "Pendulum": Task(Pendulum(), Policy(_swing_up), {"gamma": 0.95, **_FAST}),
    "MountainCar": Task(MountainCar(), Policy(_rock), {"gamma": 0.98, **_FAST}),
}


@partial(jax.jit, static_argnums=(0, 3))
def _episodes(name: str, key: Key, share: Array, count: int) -> Dataset:
    env, expert, _ = TASKS[name]

    def act(key: Key, obs: PyTree, memory: PyTree) -> tuple[PyTree, tuple[()], PyTree]:
        k_coin, k_random, k_expert = jax.random.split(key, 3)
        action, _, memory = expert.act(k_expert, obs, memory)
        random = jax.random.bernoulli(k_coin, share)
        return jnp.where(random, env.action_space.sample(k_random), action), (), memory

    return recorded(env, Policy(act), key, env.default_params(), episodes=count, limit=LIMIT)


def record(name: str, seed: int, share: float, count: int) -> Dataset:
    """`count` whole episodes of the expert with a uniformly random action in a `share` of the steps."""
    key = stream(jax.random.key(seed), round(100 * share))
    return drop_padding(_episodes(name, key, jnp.float32(share), count))


def references(name: str, seed: int, count: int) -> tuple[float, float]:
    """Mean returns of random actions and of the expert, `count` episodes each: scores 0 and 100."""
    random, expert = (episode_returns(record(name, seed, share, count)).mean() for share in (1.0, 0.0))
    return float(random), float(expert)


def score(returns: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Percent of the way from random to expert; `reference` are the two returns."""
    return 100 * (returns - reference[0]) / (reference[1] - reference[0])


def last(history: np.ndarray) -> float:
    """The last finite entry of a curve `[L]`, NaN where there is none."""
    finite = history[np.isfinite(history)]
    return float(finite[-1]) if finite.size else float("nan")


def greedy_return(algorithm: Algorithm, env: Env, episodes: int) -> Callable[..., dict[str, Array]]:
    """How a driver evaluates a member that learns from a dataset: mean return of the greedy policy."""

    def evaluation(key: Key, state: PyTree, hyper: Any, data: PyTree) -> dict[str, Array]:
        policy = algorithm.act(state, hyper, True)
        found = evaluate(env, policy, key, env.default_params(), episodes=episodes)
        return {"eval/return": found.returns.mean()}

    return evaluation


class Standardised(NamedTuple):
    """An algorithm that sees observations of mean 0 and deviation 1, as the learner of dual RL does."""

    offset: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, data: Dataset) -> Standardised:
        """By the rows of `data`."""
        obs = np.asarray(data.obs)
        return cls(obs.mean(0), obs.std(0))

    def data(self, data: Dataset) -> Dataset:
        """`data` as the algorithm sees it."""
        return data.replace(obs=self._seen(data.obs), next_obs=self._seen(data.next_obs))

    def algorithm(self, algorithm: Algorithm) -> Algorithm:
        """`algorithm`, whose policies take raw observations."""

        def act(state: PyTree, hyper: Any, greedy: bool) -> Policy:
            policy = algorithm.act(state, hyper, greedy)
            return policy._replace(act=lambda key, obs, memory: policy.act(key, self._seen(obs), memory))

        return algorithm._replace(act=act)

    def _seen(self, obs: Array) -> Array:
        shape = (1,) * (obs.ndim - 1) + self.offset.shape
        return (obs - self.offset.reshape(shape)) / self.scale.reshape(shape)


def draw_scores(ax: Any, names: list[str], rows: list[np.ndarray]) -> None:
    """One line per name: seeds as dots, the interquartile mean with its 95 % interval as a bar."""
    for i, x in enumerate(rows):
        color = style.PALETTE[i % len(style.PALETTE)]
        finite = x[np.isfinite(x)]
        ax.plot(finite, np.full(finite.size, i + 0.18), "o", color=color, alpha=0.45, markersize=4)
        if finite.size:
            low, high = statistics.bootstrap(statistics.iqm, finite[:, None])
            ax.plot([low, high], [i - 0.12, i - 0.12], color=color, linewidth=3.5, alpha=0.5)
            ax.plot(statistics.iqm(finite[:, None]), i - 0.12, "|", color=color, markersize=11)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
