"""Certificate of archives on tasks without tables: fresh episodes, and the building's gap to its bound.

Policies are read from the archives of a run folder, never from its results. Per archive: hypervolume by fresh
episodes and its certified lower bound; for the building the largest w . G of a member in an episode from the
first hour without noise, beside the bound that no policy exceeds, for several preferences w.

    python -m experiments.morl.certificate RUN

Legend: `n` members, `E` fresh episodes, `m` objectives, `W` preferences.
"""

from __future__ import annotations

import json
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.morl.episodic import Config, plan
from experiments.morl.stages import Plan, share
from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream, streams
from jaxrl.core.types import Array, Key, PyTree
from jaxrl.envs.base import Env
from jaxrl.envs.control.building import Building
from jaxrl.morl import archive as archives
from jaxrl.morl.hypervolume import hypervolume
from jaxrl.morl.learners import EvaluationOptions, acting, snapshot
from jaxrl.morl.metrics import certified_hypervolume, weight_lattice
from jaxrl.morl.tasks import task
from jaxrl.rollout.evaluate import evaluate
from jaxrl.run.folder import RunFolder, atomic_write
from jaxrl.run.sweep import member_keys
from theory.morl.building_bound import bound

BATCH = 16  # members that are evaluated at once
FIRST_HOUR = 1


class Row(NamedTuple):
    """Certificate of one archive."""

    task: str
    stage: str
    seed: int
    selection: np.ndarray
    """Returns float64[n, m] by the episodes that chose the members."""
    fresh: np.ndarray
    """Mean returns float64[n, m] in fresh episodes."""
    volume: float
    """Hypervolume of `selection`, biased upwards."""
    fresh_volume: float
    """Hypervolume of `fresh`."""
    certified: float
    """Lower 95 % confidence bound of the hypervolume."""
    alike: int
    """Members whose fresh episodes were all alike in some objective: no interval there."""
    preferences: np.ndarray
    """Preferences float64[W, m] of the bound, [0, m] where there is none."""
    bound: np.ndarray
    """What no policy exceeds, float64[W]."""
    reached: np.ndarray
    """Largest w . G of a member, float64[W]."""


def certify(folder: RunFolder, config: Config) -> list[Row]:
    """One row per archive of the run, by task, stage in order of training, and seed.

    Raises `UsageError` where there is none.
    """
    if not list((folder.path / "archives").glob("*.npz")):
        raise UsageError(f"{folder.path}: holds no archives; run the experiment")
    keys = jax.vmap(stream, (0, None))(member_keys(config.seed, config.seeds), 3)
    rows = []
    for name in config.tasks:
        own = plan(config, name)
        like = _shapes(own)
        for stage in ("initialise", *config.optimisers):
            for s in range(config.seeds):
                found = _stored(folder, own, like, stage, s)
                rows.append(_row(config, own, stage, s, found, keys[s]))
    return rows


def _row(config: Config, own: Plan, stage: str, seed: int, found: archives.Entries, key: Key) -> Row:
    episodes = again(own, found.policy, key, config.fresh)
    certified = certified_hypervolume(episodes, own.reference)
    W, limit, reached = bounds(own, config.hours)
    if len(W):
        quiet = own.data._replace(offset_low=FIRST_HOUR, offset_high=FIRST_HOUR, noise=0.0)
        quiet = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), quiet, own.data)
        played = again(own, found.policy, key, 1, quiet, config.hours)[:, 0]
        reached = (played @ W.T).max(0)
    return Row(
        task=own.name,
        stage=stage,
        seed=seed,
        selection=np.asarray(found.returns, np.float64),
        fresh=episodes.mean(1),
        volume=hypervolume(found.returns, own.reference).value,
        fresh_volume=certified.sampled,
        certified=certified.value,
        alike=certified.without_spread,
        preferences=W,
        bound=limit,
        reached=reached,
    )


def bounds(own: Plan, hours: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`(preferences [W, m], bound [W], blank [W])` of the building in its first `hours`; W = 0 elsewhere.

    Three objectives: the lattice of step 1/2. Nine: unit vectors and the uniform preference.
    """
    m = len(own.reference)
    if not isinstance(own.env, Building):
        return np.zeros((0, m)), np.zeros(0), np.zeros(0)
    W = weight_lattice(3, 0.5) if m == 3 else np.concatenate([np.eye(9), np.full((1, 9), 1 / 9)])
    limit = np.array([_bound(tuple(w), hours) for w in W])
    return W, limit, np.zeros(len(W))


@cache
def _bound(weights: tuple[float, ...], hours: int) -> float:
    return bound(weights, hours, FIRST_HOUR).value


def members(folder: RunFolder, own: Plan, stage: str, seed: int) -> archives.Entries:
    """Members of one archive of a run."""
    return _stored(folder, own, _shapes(own), stage, seed)


def _stored(folder: RunFolder, own: Plan, like: archives.Archive, stage: str, seed: int) -> archives.Entries:
    record = task(own.name).record() | {"task": own.name, "stage": stage, "seed": seed}
    path = folder.path / "archives" / f"{own.name}--{stage}--{seed}.npz"
    return archives.members(archives.load(path, like, json.loads(json.dumps(record))))


def _shapes(own: Plan) -> archives.Archive:
    """Shapes of the archives of a plan."""
    inner, m = ppo.make(own.learner, own.env), len(own.reference)
    first = own.first.replace(w=jnp.ones(m))

    def empty(key: Key) -> archives.Archive:
        return archives.empty(snapshot(inner.init(key, first, own.data)), m, own.capacity)

    return jax.eval_shape(empty, jax.random.key(0))


def again(
    own: Plan, policies: PyTree, key: Key, episodes: int, data: PyTree = None, limit: int | None = None
) -> np.ndarray:
    """Discounted returns float64[n, E, m] of policies, leaves `[n, ...]`, in fresh episodes.

    data: parameters of the environment, None for those of training; limit: steps, None for the task's.
    """
    data = own.data if data is None else data
    count = len(jax.tree.leaves(policies)[0])
    padded = -(-count // BATCH) * BATCH  # one size of arrays, so that archives share a program
    rows = np.minimum(np.arange(padded), count - 1).reshape(-1, BATCH)
    keys = streams(key, padded).reshape(-1, BATCH)
    static = (own.learner, own.env, own.evaluation, episodes)
    limit = own.evaluation.limit if limit is None else limit
    found = []
    for row, k in zip(rows, keys, strict=True):
        some = jax.tree.map(lambda x, r=row: x[r], policies)
        found.append(np.asarray(_again(*static, some, k, data, own.gamma, limit), np.float64))
    return np.concatenate(found)[:count]


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _again(
    learner: ppo.Config,
    env: Env,
    options: EvaluationOptions,
    episodes: int,
    policies: PyTree,
    keys: Key,
    data: PyTree,
    gamma: Array,
    limit: Array,
) -> Array:
    nets = ppo.networks(learner, env)

    def one(key: Key, policy: PyTree) -> Array:
        chosen = acting(learner, nets, policy, options.kind == "greedy")
        return evaluate(env, chosen, key, data, episodes=episodes, limit=limit, gamma=gamma).discounted

    return jax.vmap(one)(keys, policies)


def write(folder: RunFolder, config: Config) -> list[Row]:
    """Writes certificate.json and certificate.md into the run folder."""
    rows = certify(folder, config)
    if folder.writes:
        records = [_plain(row) for row in rows]
        atomic_write(folder.path / "certificate.json", json.dumps(records, indent=1, allow_nan=False) + "\n")
        atomic_write(folder.path / "certificate.md", text(rows))
    return rows


def text(rows: list[Row]) -> str:
    """The certificate as Markdown tables: archives, and where there are bounds the gaps by preference."""
    lines = _table(
        "task", "stage", "seed", "members", "selection episodes", "fresh episodes", "certified", "alike"
    )
    for row in rows:
        values = f"{row.volume:.6g} | {row.fresh_volume:.6g} | {row.certified:.6g} | {row.alike}"
        lines.append(f"| {row.task} | {row.stage} | {row.seed} | {len(row.fresh)} | {values} |")
    bounded = [row for row in rows if len(row.preferences)]
    if bounded:
        lines += ["", *_table("task", "stage", "seed", "preference", "reached", "bound", "gap")]
    for row in bounded:
        for w, high, found in zip(row.preferences, row.bound, row.reached, strict=True):
            shown = ", ".join(f"{x:.3g}" for x in w)
            values = f"{found:.2f} | {high:.2f} | {share(1 - found / high)}"
            lines.append(f"| {row.task} | {row.stage} | {row.seed} | ({shown}) | {values} |")
    return "\n".join(lines) + "\n"


def _table(*head: str) -> list[str]:
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]


def _plain(row: Row) -> dict[str, Any]:
    """The row without its members, as plain numbers."""
    found = {k: v for k, v in row._asdict().items() if k not in ("selection", "fresh")}
    found |= {n: getattr(row, n).tolist() for n in ("preferences", "bound", "reached")}
    return found | {"members": len(row.fresh)}
