"""Recipes of the suites: `suite(name, seed)` gives a `Dataset`, made on first use and cached on disk.

name                    who acts
<env>-random            uniform actions (pendulum), or the policy before training (TRPO snapshots)
<env>-medium            a policy a third of the way from random to expert
<env>-expert            the policy after training
<env>-medium-expert     episodes of medium, then as many of expert
<env>-medium-replay     all that the learner had seen when it was medium (pendulum), or equally many
                        episodes of the snapshots at iterations 0, 20 and 40
brax-hopper-<quality>   as pendulum, by PPO on the hopper of brax with the spring back-end
hopper-<quality>        TRPO snapshots in MuJoCo's Hopper-v5, medium at iteration 40; needs gymnasium[mujoco]
hopper-noisy-<quality>  the same with another medium: the expert, so noisy that it scores a third to a half
maze2d-<map>[-noisy]    the waypoint controller on its way to random goals, rewards for the map's goal
goalgrid-random         5 uniform steps from uniform starts
goalgrid-expert         one demonstration of 5 steps, which stops halfway

<env> of the first lines is pendulum (soft actor-critic of our own), or mountaincar, cartpole, acrobot (TRPO
snapshots of openai/imitation, see `snapshot_file`). Policies act stochastically. Metadata hold `ref_random`
and `ref_expert`: mean returns of the uniform policy and of the last policy acting greedily; for maze2d and
hopper D4RL's.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.data import host
from jaxrl.baselines import ppo, sac
from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.core.fields import Count, NonNegative, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Key, Policy, PyTree, Transition
from jaxrl.data import snapshots, suites
from jaxrl.data.collect import collect, recorded, uniform
from jaxrl.data.dataset import Dataset, Meta
from jaxrl.data.episodes import concatenate, drop_padding, take_episodes
from jaxrl.data.record import from_unroll
from jaxrl.data.scores import Reference, reference
from jaxrl.envs.adapters.brax import Brax
from jaxrl.envs.adapters.gymnasium import maker
from jaxrl.envs.base import Env
from jaxrl.envs.control.acrobot import Acrobot
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.mountain_car import MountainCar
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.grids.goal_grid import GoalGrid, expert
from jaxrl.envs.grids.maze2d import MAPS, Maze2D, controller
from jaxrl.rollout.evaluate import evaluate
from jaxrl.rollout.unroll import Pool, start, unroll

ROOT = Path(__file__).resolve().parents[2]
QUALITIES = ("random", "medium", "medium-replay", "medium-expert", "expert")


@dataclass(frozen=True, kw_only=True)
class _Versioned:
    """A recipe; its fields are part of the names of the files that it makes."""

    version: Size = 1
    """Raised whenever the code makes other data from the same recipe, so that old files are left alone."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class FromSac(_Versioned):
    """Soft actor-critic on the pendulum, evaluated while it trains.

    Medium is the first evaluation above a third of the way from random to the last policy.
    """

    episodes: Size = 100
    """Episodes of every quality but medium-replay."""
    updates: Size = 2000
    """Updates of the agent that becomes the expert."""
    every: Size = 25
    """Updates between two evaluations of the agent."""
    look_episodes: Size = 64
    """Episodes of one evaluation."""
    reference_episodes: Size = 1000
    """Episodes of the mean returns `ref_random` and `ref_expert`."""
    algo: sac.Config = field(
        default_factory=lambda: sac.Config(
            n_envs=8, gradient_steps=8, batch_size=128, capacity=16_000, widths=(64, 64)
        )
    )
    """Static choices of soft actor-critic; its memory, which is medium-replay, has to hold all steps."""


@dataclass(frozen=True)
class FromPpo(_Versioned):
    """PPO on an environment of brax, as `FromSac`.

    It has no memory, so that medium-replay is made of equally many episodes of every evaluation up to medium.
    """

    env: str
    """The name of the environment in brax, e.g. "hopper"."""
    backend: str
    """The back-end of brax, e.g. "spring"."""
    episodes: Size = 50
    """Episodes of every quality but medium-replay."""
    updates: Size = 120
    """Updates of the agent that becomes the expert."""
    every: Size = 1
    """Updates between two evaluations of the agent."""
    look_episodes: Size = 16
    """Episodes of one evaluation."""
    reference_episodes: Size = 200
    """Episodes of the mean returns `ref_random` and `ref_expert`."""
    algo: ppo.Config = field(
        default_factory=lambda: ppo.Config(
            minibatches=8, normalise_obs=True, scale_rewards=True, reset=Pool(16)
        )
    )
    """Static choices of PPO."""


@dataclass(frozen=True)
class FromSnapshots(_Versioned):
    """Policies of a file of TRPO snapshots."""

    file: str
    """The name of the file in the folder that `JAXRL_DATA` names."""
    limit: Size = 200
    """Steps after which an episode is truncated."""
    episodes: Size = 300
    """Episodes of every quality; medium-expert has twice as many."""
    medium: Count = 20
    """Iteration of the medium policy."""
    expert: Count = 100
    """Iteration of the expert."""
    replay: tuple[Count, ...] = (0, 20, 40)
    """Iterations of the policies that share the episodes of medium-replay."""
    reference_episodes: Size = 1000
    """Episodes of the mean returns `ref_random` and `ref_expert`."""


@dataclass(frozen=True)
class FromMujoco(_Versioned):
    """Policies of a file of TRPO snapshots in an environment of gymnasium, actions clipped to its bounds.

    More than `experiments.data.host.CHUNK` episodes are collected in parts, by as many processes as there are
    cores; the data do not depend on how many those are.
    """

    file: str
    """The name of the file in the folder that `JAXRL_DATA` names."""
    name: str
    """The name of the environment in gymnasium, e.g. "Hopper-v5"."""
    episodes: Size = 50
    """Episodes of every quality; medium-expert has twice as many."""
    random_episodes: Size = 2000
    """Episodes of uniform actions, which are as short as the hopper falls."""
    medium: Count = 40
    """Iteration of the medium policy."""
    noise: NonNegative = 0.0
    """Standard deviation of normal noise that is added to the medium policy's actions before clipping."""
    expert: Count = 500
    """Iteration of the expert."""
    replay: tuple[Count, ...] = (0, 20, 40)
    """Iterations of the policies that share the episodes of medium-replay."""


@dataclass(frozen=True)
class FromPlanner(_Versioned):
    """Balls that wander through a maze to random goals."""

    maze: str
    """The name of a map of `jaxrl.envs.grids.maze2d.MAPS`."""
    noise: NonNegative = 0.0
    """Standard deviation of the normal noise that is added to an action before it is clipped."""
    lanes: Size = 50
    """Balls, each with episodes of its own."""
    length: Size = 2000
    """Steps of each ball."""


@dataclass(frozen=True)
class FromGoalGrid(_Versioned):
    """Uniform actions from uniform starts, and one demonstration that begins at (-1.2, -1.2)."""

    episodes: Size = 100_000
    """Episodes of uniform actions."""
    length: Size = 5
    """Steps of an episode, and of the demonstration."""
    reference_episodes: Size = 1000
    """Episodes of the mean returns `ref_random` and `ref_expert`."""


Recipe = FromSac | FromPpo | FromSnapshots | FromMujoco | FromPlanner | FromGoalGrid
RECIPES: dict[str, Recipe] = {
    "pendulum": FromSac(),
    "mountaincar": FromSnapshots("trpo_MountainCar-v0.h5"),
    "cartpole": FromSnapshots("trpo_CartPole-v0.h5"),
    "acrobot": FromSnapshots("trpo_Acrobot-v0.h5"),
    "brax-hopper": FromPpo("hopper", "spring"),
    "hopper": FromMujoco("trpo_Hopper-v1.h5", "Hopper-v5"),
    "hopper-noisy": FromMujoco("trpo_Hopper-v1.h5", "Hopper-v5", medium=500, noise=0.7),
    "goalgrid": FromGoalGrid(),
    **{f"maze2d-{maze}": FromPlanner(maze) for maze in MAPS},
    **{f"maze2d-{maze}-noisy": FromPlanner(maze, 0.5) for maze in MAPS},
}
_SNAPSHOT_ENVS = {
    "trpo_MountainCar-v0.h5": MountainCar(),
    "trpo_CartPole-v0.h5": CartPole(),
    "trpo_Acrobot-v0.h5": Acrobot(raw=True),
}


def names() -> list[str]:
    """All names that `suite` knows."""
    return [name for group, recipe in RECIPES.items() for name in _members(group, recipe)]


def suite(
    name: str, seed: int = 0, *, recipe: Recipe | None = None, folder: Path | str | None = None
) -> Dataset:
    """The dataset `name`, equal for equal seeds; made and stored on first use with others of its group.

    recipe: other sizes than those of `RECIPES`. folder: where files are kept, by default the one named by
    `JAXRL_SUITES`, or `datasets/suites` in the checkout.

    Raises `UsageError` for unknown names and where the TRPO snapshots are missing, and `NumericalFailure`
    where no policy of the training was medium.
    """
    group = _group(name)
    recipe = recipe or RECIPES[group]
    folder = folder or os.environ.get("JAXRL_SUITES") or ROOT / "datasets" / "suites"

    def make() -> dict[str, Dataset]:
        made = _MAKERS[type(recipe)](recipe, jax.random.key(seed))
        return {f"{group}-{part}" if part else group: data for part, data in made.items()}

    return suites.cached(_members(group, recipe), seed, recipe, make, folder)[name]


def recipe_of(name: str) -> Recipe:
    """The recipe of a suite; `UsageError` for unknown names."""
    return RECIPES[_group(name)]


def environment(name: str) -> Env:
    """The compiled environment of a suite; `UsageError` for those that live on the host.

    Its own time limit may be longer than `FromSnapshots.limit`, after which episodes of those suites end:
    compare policies with references of CartPole and Acrobot by `evaluate(.., limit=recipe_of(name).limit)`.
    """
    recipe = recipe_of(name)
    if isinstance(recipe, FromMujoco):
        raise UsageError(f"name: {name} is from {recipe.name} of gymnasium; use host_maker")
    if isinstance(recipe, FromSnapshots):
        return _SNAPSHOT_ENVS[recipe.file]
    if isinstance(recipe, FromPlanner):
        return Maze2D(recipe.maze)
    if isinstance(recipe, FromPpo):
        return Brax(recipe.env, recipe.backend)
    return Pendulum() if isinstance(recipe, FromSac) else GoalGrid()


def host_maker(name: str) -> Callable[[], Any] | None:
    """What makes the environment of a suite of gymnasium; None where `environment` has it.

    Raises `UsageError` for unknown names, and `MissingExtra` without gymnasium or MuJoCo.
    """
    recipe = recipe_of(name)
    return maker(recipe.name) if isinstance(recipe, FromMujoco) else None


def resized(recipe: Recipe, episodes: int) -> Recipe:
    """`recipe` for another number of episodes, or of the planner's balls."""
    size = "lanes" if isinstance(recipe, FromPlanner) else "episodes"
    return dataclasses.replace(recipe, **{size: episodes})


def snapshot_file(name: str) -> Path:
    """A file of TRPO snapshots in the folder named by `JAXRL_DATA`, by default `datasets` in the checkout."""
    path = Path(os.environ.get("JAXRL_DATA") or ROOT / "datasets") / name
    if not path.is_file():
        raise UsageError(
            f"{path}: no such file; set JAXRL_DATA to a folder with the policies of openai/imitation"
        )
    return path


def _group(name: str) -> str:
    for group, recipe in RECIPES.items():
        if name in _members(group, recipe):
            return group
    raise UsageError(f"name: no suite {name!r}; known: {', '.join(names())}")


def _members(group: str, recipe: Recipe) -> tuple[str, ...]:
    if isinstance(recipe, FromPlanner):
        return (group,)
    parts = ("random", "expert") if isinstance(recipe, FromGoalGrid) else QUALITIES
    return tuple(f"{group}-{part}" for part in parts)


def _from_sac(recipe: FromSac, key: Key) -> dict[str, Dataset]:
    env = Pendulum()
    hyper = sac.Hyper(lr_actor=1e-3, lr_critic=1e-3, lr_temperature=1e-3, gamma=0.98, warmup=100)
    agent = _Agent(env, sac.make(recipe.algo, env), hyper)
    parts, seen, _ = _from_agent(recipe, agent, key)
    return parts | {"medium-replay": _buffer(recipe, seen[-1]).replace(meta=parts["medium"].meta)}


def _from_ppo(recipe: FromPpo, key: Key) -> dict[str, Dataset]:
    env = Brax(recipe.env, recipe.backend)
    agent = _Agent(env, ppo.make(recipe.algo, env), ppo.Hyper(entropy=0.0))
    parts, seen, (record, k_replay) = _from_agent(recipe, agent, key)
    meta, each = parts["medium"].meta, max(1, recipe.episodes // len(seen))
    episodes = [drop_padding(record(state, stream(k_replay, i))) for i, state in enumerate(seen)]
    replay = concatenate(*(take_episodes(data, 0, each) for data in episodes), meta=meta)
    return parts | {"medium-replay": replay}


class _Agent(NamedTuple):
    """An algorithm on an environment."""

    env: Env
    algorithm: Algorithm
    hyper: Any


def _from_agent(
    recipe: FromSac | FromPpo, agent: _Agent, key: Key
) -> tuple[dict[str, Dataset], list[PyTree], tuple[Callable[[PyTree, Key], Dataset], Key]]:
    """All qualities but medium-replay; the states up to medium; how to record more, and a key for it."""
    env, algorithm, hyper = agent
    params = env.default_params()
    k_train, k_look, k_reference, k_random, k_medium, k_expert, k_more = jax.random.split(key, 7)
    looks, states = _train(recipe, agent, k_train, k_look)
    scale = _references(recipe, env, uniform(env), algorithm.act(states[-1], hyper, True), k_reference)
    good = looks >= scale.random + (scale.expert - scale.random) / 3
    if not (scale.expert > scale.random and good.any()):
        raise NumericalFailure(
            f"updates: the agent returns {scale.expert:.0f}, uniform actions {scale.random:.0f}; train longer"
        )
    medium, meta = int(np.argmax(good)), _meta(env, scale)
    limit = int(env.time_limit(params))

    @jax.jit
    def record(state: PyTree, key: Key) -> Dataset:
        policy = algorithm.act(state, hyper, False)
        return recorded(env, policy, key, params, episodes=recipe.episodes, limit=limit)

    parts = {
        "random": collect(env, uniform(env), k_random, params, episodes=recipe.episodes, meta=meta),
        "medium": drop_padding(record(states[medium], k_medium)).replace(meta=meta),
        "expert": drop_padding(record(states[-1], k_expert)).replace(meta=meta),
    }
    parts["medium-expert"] = concatenate(parts["medium"], parts["expert"], meta=meta)
    return parts, states[: medium + 1], (record, k_more)


def _train(
    recipe: FromSac | FromPpo, agent: _Agent, key: Key, k_look: Key
) -> tuple[np.ndarray, list[PyTree]]:
    """Mean greedy returns float64[looks] along the training, and the states that they belong to."""
    env, algorithm, hyper = agent
    params = env.default_params()

    @jax.jit
    def advance(state: PyTree) -> PyTree:
        return jax.lax.scan(
            lambda s, _: (algorithm.step(s, hyper, params)[0], None), state, length=recipe.every
        )[0]

    @jax.jit
    def look(state: PyTree, key: Key) -> jax.Array:
        policy = algorithm.act(state, hyper, True)
        return evaluate(env, policy, key, params, episodes=recipe.look_episodes).returns.mean()

    state, states, looks = jax.jit(lambda k: algorithm.init(k, hyper, params))(key), [], []
    for i in range(recipe.updates // recipe.every):
        state = advance(state)
        states.append(state)
        looks.append(float(look(state, stream(k_look, i))))
    return np.asarray(looks), states


def _buffer(recipe: FromSac, state: PyTree) -> Dataset:
    """Everything in a buffer, environment after environment; `UsageError` where it has wrapped around."""
    n, size = recipe.algo.n_envs, int(state.buffer.size)
    seen = int(state.updates) * n * recipe.algo.length
    if seen > recipe.algo.capacity:
        raise UsageError(f"algo.capacity: {recipe.algo.capacity} rows hold no {seen} steps; make it larger")

    def rows(x: jax.Array) -> jax.Array:
        return x[:size].reshape(size // n, n, *x.shape[1:])

    transitions: Transition = jax.tree.map(rows, state.buffer.data)
    return jax.jit(from_unroll)(transitions)


def _from_snapshots(recipe: FromSnapshots, key: Key) -> dict[str, Dataset]:
    found, env = snapshots.read(snapshot_file(recipe.file)), _SNAPSHOT_ENVS[recipe.file]
    greedy = snapshots.policy(found[recipe.expert], greedy=True)
    k_reference, k_collect = jax.random.split(key)
    meta = _meta(env, _references(recipe, env, uniform(env), greedy, k_reference, recipe.limit))

    @jax.jit
    def record(snapshot: snapshots.Snapshot, key: Key) -> Dataset:
        policy = snapshots.policy(snapshot)
        return recorded(env, policy, key, env.default_params(), episodes=recipe.episodes, limit=recipe.limit)

    def of(iteration: int, index: int) -> Dataset:
        return drop_padding(record(found[iteration], stream(k_collect, index))).replace(meta=meta)

    parts = {"random": of(0, 0), "medium": of(recipe.medium, 1), "expert": of(recipe.expert, 2)}
    each = recipe.episodes // len(recipe.replay)
    seen = [take_episodes(of(iteration, 3 + i), 0, each) for i, iteration in enumerate(recipe.replay)]
    return parts | {
        "medium-replay": concatenate(*seen, meta=meta),
        "medium-expert": concatenate(parts["medium"], parts["expert"], meta=meta),
    }


def _from_mujoco(recipe: FromMujoco, key: Key) -> dict[str, Dataset]:
    n, scale = recipe.episodes, reference(recipe.name.partition("-")[0].lower())
    meta = (("env", recipe.name), ("ref_random", scale.random), ("ref_expert", scale.expert))
    policies = [
        (None, 0.0, recipe.random_episodes),
        (recipe.medium, recipe.noise, n),
        (recipe.expert, 0.0, n),
        *((iteration, 0.0, n) for iteration in recipe.replay),
    ]
    file = str(snapshot_file(recipe.file))
    groups = [host.jobs_of(file, recipe.name, *p, stream(key, i)) for i, p in enumerate(policies)]
    random, medium, best, *seen = (concatenate(d, meta=meta) for d in host.collect_jobs(groups))
    return {
        "random": random,
        "medium": medium,
        "expert": best,
        "medium-replay": concatenate(*seen, meta=meta),
        "medium-expert": concatenate(medium, best, meta=meta),
    }


def _from_planner(recipe: FromPlanner, key: Key) -> dict[str, Dataset]:
    """Episodes end where the next action is towards a new goal, as time limits: the ball is where it was."""
    env = Maze2D(recipe.maze)
    params, policy = env.default_params(), controller(env, wander=True, noise=recipe.noise)

    @jax.jit
    def run(key: Key) -> Dataset:
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, recipe.lanes)
        rows = unroll(env, policy, vec, k_run, params, length=recipe.length, limit=recipe.length)[1]
        switched = jnp.concatenate([rows.aux[1:], jnp.ones((1, recipe.lanes), bool)])
        return from_unroll(rows._replace(truncated=switched))

    meta = _meta(env, reference(f"maze2d-{recipe.maze}"))
    return {"": run(key).replace(meta=meta)}


def _from_goal_grid(recipe: FromGoalGrid, key: Key) -> dict[str, Dataset]:
    env = GoalGrid()
    params = env.default_params()
    policy = expert(params)
    k_reference, k_collect = jax.random.split(key)
    meta = _meta(env, _references(recipe, env, uniform(env), policy, k_reference))
    begin = jnp.full(2, -1.2, params.goal.dtype)
    # the key is not used: neither the expert nor the environment draws
    vec = start(env, policy, k_collect, params, 1)._replace(env_state=begin[None], obs=begin[None])

    @jax.jit
    def demonstrate() -> Dataset:
        return from_unroll(
            unroll(env, policy, vec, k_collect, params, length=recipe.length, limit=recipe.length)[1]
        )

    return {
        "random": collect(
            env, uniform(env), k_collect, params, episodes=recipe.episodes, limit=recipe.length, meta=meta
        ),
        "expert": demonstrate().replace(meta=meta),
    }


def _references(
    recipe: FromSac | FromPpo | FromSnapshots | FromGoalGrid,
    env: Env,
    random: Policy,
    best: Policy,
    key: Key,
    limit: int | None = None,
) -> Reference:
    """Mean returns of whole episodes, in float64."""
    k_random, k_best = jax.random.split(key)

    def mean(policy: Policy, key: Key) -> float:
        run = jax.jit(
            lambda k: (
                evaluate(
                    env, policy, k, env.default_params(), episodes=recipe.reference_episodes, limit=limit
                ).returns
            )
        )
        return float(np.mean(np.asarray(run(key), np.float64)))

    return Reference(mean(random, k_random), mean(best, k_best))


def _meta(env: Env, scale: Reference) -> Meta:
    return (("env", env.name), ("ref_random", scale.random), ("ref_expert", scale.expert))


_MAKERS: dict[type, Callable[..., dict[str, Dataset]]] = {
    FromSac: _from_sac,
    FromPpo: _from_ppo,
    FromSnapshots: _from_snapshots,
    FromMujoco: _from_mujoco,
    FromPlanner: _from_planner,
    FromGoalGrid: _from_goal_grid,
}
