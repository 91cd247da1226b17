"""TD3 offline in the point maze on rows that cover all states and actions, by how long an action is kept.

One action of one step changes the value by about a hundredth, which a critic may not resolve, and more if it
is kept for several steps. Rows start at uniform places and velocities with uniform actions, so that no
explorer is in question. The last policies are started at rest at given numbers of steps before the goal, on
the path of the controller that was written for the maze. Legend: `R` repeats, `S` seeds, `D` distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.reward_free.maze_controller import controller
from jaxrl.baselines import td3
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, NonNegative, Seed, Share, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_stack
from jaxrl.core.types import Array, Key, Policy
from jaxrl.data.dataset import Dataset
from jaxrl.envs.control.point_maze import TARGETS, PointMaze, PointMazeState, blocked
from jaxrl.envs.wrappers.rescale_obs import rescale_obs
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train

TASK = "bottom_right"
_FAST = 0.1  # largest speed per axis, m/s
_CORNER = (-0.22, 0.22)  # middle of the places where episodes start
_ARRIVED = 0.03  # distance from the target that ends the written controller's path, m
_PER_UPDATE = 10


@dataclass(frozen=True)
class Config:
    """Repeats of an action, the rows, and the starts of the evaluation."""

    repeats: tuple[Size, ...] = (1, 5, 20)
    """Steps of the maze for which an action is kept, in the rows and in the evaluation."""
    rows: Size = 50_000
    """Number of transitions of a member, each of so many steps of the maze."""
    gamma: Share = 0.99
    """Discount per step of the maze, in [0, 1]; that of a transition is its power by the repeat."""
    lr_actor: NonNegative = 1e-3
    """Learning rate of the actor, >= 0."""
    widths: tuple[Size, ...] = (64, 64)
    """Hidden units per layer of actor and critics."""
    batch_size: Size = 128
    """Transitions per gradient step."""
    offline_steps: Size = 8000
    """Gradient steps of a member."""
    distances: tuple[Count, ...] = (10, 50, 100, 200, 300, 400)
    """Steps of the written controller from a start to the goal, at most 400."""
    length: Size = 600
    """Steps of the maze per evaluated episode."""
    seeds: Size = 3
    """Members per repeat, each with rows of its own."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.distances or max(self.distances) > 400:
            raise UsageError(f"Config.distances: must be at most 400 steps each, got {self.distances}")


PRESETS = {
    "smoke": Config(
        repeats=(1, 2),
        rows=64,
        widths=(8,),
        batch_size=16,
        offline_steps=20,
        distances=(10, 100),
        length=20,
        seeds=2,
    ),
    "quick": Config(),
    "slow-actor": Config(lr_actor=1e-4),
    "paper": Config(widths=(256, 256), batch_size=256, offline_steps=500_000, seeds=8),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `returns [R, S, D]` of greedy last policies and `written [D]` of the written controller."""
    env, keys = rescale_obs(PointMaze(TASK)), member_keys(config.seed, config.seeds)
    static = td3.Config(
        gradient_steps=_PER_UPDATE, batch_size=config.batch_size, widths=config.widths, policy_delay=1
    )
    algorithm = td3.make(static, env.observation_space, env.action_space)
    hypers = [
        td3.Hyper(
            lr_actor=config.lr_actor, lr_critic=1e-3, tau=0.02, noise_clip=0.3, gamma=config.gamma**repeat
        )
        for repeat in config.repeats
    ]
    R, S = len(config.repeats), config.seeds
    trained = train(
        algorithm,
        keys[np.tile(np.arange(S), R)],
        stack_hypers(hypers, S),
        tree_stack([covering(stream(key, 1), config.rows, k) for k in config.repeats for key in keys]),
        shared_data=False,
        updates=-(-config.offline_steps // _PER_UPDATE),
        folder=folder,
        labels=[f"seed {i}, repeat {k}" for k in config.repeats for i in range(S)],
    )
    starts = on_the_path(config.distances)

    def returns(state: td3.State, repeat: Array) -> Array:
        policy = algorithm.act(state, hypers[0], True)
        return jax.vmap(partial(_return, policy, repeat, config.length))(starts)

    repeats = jnp.repeat(jnp.asarray(config.repeats), S)
    written = jax.vmap(partial(_return, _seen(controller(TASK)), 1, config.length))(starts)
    folder.save_result(
        repeat=list(config.repeats),
        distance=list(config.distances),
        returns=np.asarray(jax.jit(jax.vmap(returns))(trained.state, repeats)).reshape(R, S, -1),
        written=np.asarray(written),
    )


def covering(key: Key, rows: int, repeat: int) -> Dataset:
    """Transitions of `repeat` steps from uniform free places, velocities and actions; rewards are sums."""
    env = rescale_obs(PointMaze(TASK))
    params = env.default_params()
    k_place, k_velocity, k_action = jax.random.split(key, 3)
    reach = params.wall - params.radius
    places = jax.random.uniform(k_place, (4 * rows, 2), minval=-reach, maxval=reach)
    free = ~jax.vmap(blocked, (0, None))(places, params)
    first = jnp.argsort(~free, stable=True)[:rows]  # more than half of all places are free
    velocities = jax.random.uniform(k_velocity, (rows, 2), minval=-_FAST, maxval=_FAST)
    actions = jax.random.uniform(k_action, (rows, 2), minval=-1, maxval=1)

    def one(position: Array, velocity: Array, action: Array) -> tuple[Array, Array, Array]:
        def step(state: PointMazeState, _: None) -> tuple[PointMazeState, tuple[Array, Array]]:
            after, out = env.step(key, state, action, params)
            return after, (out.obs, out.reward)

        start = PointMazeState(position, velocity)
        _, (obs, reward) = jax.lax.scan(step, start, None, length=repeat)
        return env.rescale(jnp.concatenate(start)), obs[-1], reward.sum()

    obs, next_obs, reward = jax.jit(jax.vmap(one))(places[first], velocities, actions)
    ends = jnp.ones(rows, bool)
    return Dataset(
        obs=obs,
        action=actions,
        reward=reward,
        next_obs=next_obs,
        terminated=~ends,
        truncated=ends,
        episode=jnp.arange(rows),
        step=jnp.zeros(rows, jnp.int32),
    )


def on_the_path(distances: tuple[int, ...]) -> PointMazeState:
    """States at rest, leaves [D, 2], so many steps before the written controller arrives at the target."""
    env, policy = PointMaze(TASK), controller(TASK)
    params = env.default_params()

    def step(state: PointMazeState, key: Key) -> tuple[PointMazeState, Array]:
        action, _, _ = policy.act(key, jnp.concatenate(state), ())
        return env.step(key, state, action, params)[0], state.position

    start = PointMazeState(jnp.asarray(_CORNER), jnp.zeros(2))
    _, path = jax.jit(lambda s, keys: jax.lax.scan(step, s, keys))(
        start, jax.random.split(jax.random.key(0), 600)
    )
    away = np.linalg.norm(np.asarray(path) - np.array(TARGETS[TASK]), axis=1)
    arrival = int(np.argmax(away < _ARRIVED))
    return PointMazeState(path[arrival - np.array(distances)], jnp.zeros((len(distances), 2)))


def _seen(policy: Policy) -> Policy:
    """The written controller, which reads metres, on rescaled observations."""
    env = rescale_obs(PointMaze(TASK))
    return Policy(lambda key, obs, memory: policy.act(key, env.restore(obs), memory))


def _return(policy: Policy, repeat: Array | int, length: int, start: PointMazeState) -> Array:
    env = rescale_obs(PointMaze(TASK))
    params, key = env.default_params(), jax.random.key(0)

    def step(carry: tuple[PointMazeState, Array, Array], t: Array) -> tuple[tuple, Array]:
        state, obs, kept = carry
        action = jnp.where(t % repeat == 0, policy.act(key, obs, ())[0], kept)
        state, out = env.step(key, state, action, params)
        return (state, out.obs, action), out.reward

    first = (start, env.rescale(jnp.concatenate(start)), jnp.zeros(2))
    return jax.lax.scan(step, first, jnp.arange(length))[1].sum()


def estimate(config: Config) -> dict[str, int]:
    """Members and programs of a run."""
    return {"members": len(config.repeats) * config.seeds, "compilations": 1}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Returns by repeat and distance from the goal, and those of the written controller."""
    found: dict[str, Score | np.ndarray] = {}
    for d, distance in enumerate(result["distance"].tolist()):
        for r, repeat in enumerate(result["repeat"].tolist()):
            label = f"actions kept {repeat} step{'s' * (repeat > 1)}: return from {distance} steps"
            found[label] = Score(result["returns"][r, :, d], BETTER, derived=d > 0)
        written = Score(result["written"][d : d + 1], BETTER, derived=True)
        found[f"written controller: return from {distance} steps"] = written
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Returns against the distance from the goal, every seed; the written controller is the dotted line."""
    result = folder.load_result()
    with plots.paper():
        fig, axes = plots.subplots(1, 1, width=4.2, height=2.8)
        ax, x = axes[0, 0], result["distance"]
        for r, repeat in enumerate(result["repeat"].tolist()):
            for s, row in enumerate(result["returns"][r]):
                label = f"kept {repeat} step{'s' * (repeat > 1)}" if s == 0 else None
                ax.plot(x, row, "o-", color=plots.PALETTE[r], linewidth=1, markersize=3, label=label)
        ax.plot(x, result["written"], color=plots.GREY, linestyle=":", label="written controller")
        ax.set(xlabel="steps before the goal", ylabel="return of the last policy", ylim=(0, None))
        ax.legend(fontsize=7)
        return plots.save(fig, folder.figures / "offline_maze")
