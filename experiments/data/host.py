"""Episodes of TRPO snapshots in environments of gymnasium, collected by several processes.

`python -m experiments.data.host FOLDER FIRST STEP` collects the jobs FIRST, FIRST + STEP, ... of
`FOLDER/jobs.json`. The processes are started as programs of their own, so that scripts without a main guard
can ask for a suite.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import StorageError
from jaxrl.core.prng import stream
from jaxrl.core.spaces import sample
from jaxrl.core.types import Array, Key, Policy, PyTree
from jaxrl.data import snapshots, store
from jaxrl.data.collect import host_collect
from jaxrl.data.dataset import Dataset
from jaxrl.data.episodes import concatenate
from jaxrl.envs.adapters.gymnasium import maker, spaces

CHUNK = 50
"""Episodes of an environment of gymnasium that one process collects at a time."""
ROOT = Path(__file__).resolve().parents[2]


class Job(NamedTuple):
    """Episodes of one policy. file: of snapshots. env: name in gymnasium. key: data of a key, uint32.

    iteration: of the snapshot, None for uniform actions. noise: standard deviation of noise in its actions.
    """

    file: str
    env: str
    iteration: int | None
    noise: float
    episodes: int
    key: list[int]


def clipped(snapshot: snapshots.Snapshot) -> Policy:
    """A snapshot's policy with actions in +-1, which the cost of actions is then computed from."""
    policy = snapshots.policy(snapshot)

    def act(key: Key, obs: jax.Array, memory: PyTree) -> tuple[jax.Array, PyTree, PyTree]:
        action, aux, memory = policy.act(key, obs, memory)
        return jnp.clip(action, -1.0, 1.0), aux, memory

    return Policy(act, policy.memory)


def noisy(params: tuple[snapshots.Snapshot, Array]) -> Policy:
    """A snapshot's policy with normal noise of standard deviation `params[1]` added, then clipped to +-1."""
    policy = snapshots.policy(params[0])

    def act(key: Key, obs: jax.Array, memory: PyTree) -> tuple[jax.Array, PyTree, PyTree]:
        k_action, k_noise = jax.random.split(key)
        action, aux, memory = policy.act(k_action, obs, memory)
        moved = action + params[1] * jax.random.normal(k_noise, action.shape)
        return jnp.clip(moved, -1.0, 1.0), aux, memory

    return Policy(act, policy.memory)


@cache
def _uniform(env: str) -> Callable[[PyTree], Policy]:
    space = spaces(maker(env))[1]
    return lambda _: Policy(lambda key, obs, memory: (sample(space, key), (), memory))


def jobs_of(file: str, env: str, iteration: int | None, noise: float, episodes: int, key: Key) -> list[Job]:
    """Jobs of at most `CHUNK` episodes with keys of their own; a single one has the key itself."""
    sizes = [min(CHUNK, episodes - first) for first in range(0, episodes, CHUNK)]
    keys = [key] if len(sizes) == 1 else [stream(key, i) for i in range(len(sizes))]
    return [
        Job(file, env, iteration, noise, size, np.asarray(jax.random.key_data(k)).tolist())
        for size, k in zip(sizes, keys, strict=True)
    ]


def collect_job(job: Job) -> Dataset:
    """The episodes of one job."""
    act, params = _uniform(job.env), ()
    if job.iteration is not None:
        snapshot = snapshots.read(job.file)[job.iteration]
        act, params = (noisy, (snapshot, np.float32(job.noise))) if job.noise else (clipped, snapshot)
    key = jax.random.wrap_key_data(jnp.asarray(job.key, jnp.uint32))
    make_env = maker(job.env)
    return host_collect(make_env, act, params, key, episodes=job.episodes, action_space=spaces(make_env)[1])


def collect_jobs(groups: list[list[Job]], processes: int | None = None) -> list[Dataset]:
    """The episodes of each group, joined; `processes` are by default as many as there are cores.

    What is collected does not depend on their number. Raises `StorageError` where a process fails.
    """
    jobs = [job for group in groups for job in group]
    workers = min(processes or len(os.sched_getaffinity(0)), len(jobs))
    made = iter(list(map(collect_job, jobs)) if workers == 1 else _by_processes(jobs, workers))
    return [concatenate(*(next(made) for _ in group)) for group in groups]


def _by_processes(jobs: list[Job], workers: int) -> list[Dataset]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "jobs.json").write_text(json.dumps(jobs))
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        started = [
            subprocess.Popen(
                [sys.executable, "-m", __spec__.name, name, str(first), str(workers)],
                env=os.environ | {"PYTHONPATH": path},
                stderr=subprocess.PIPE,
                text=True,
            )
            for first in range(workers)
        ]
        errors = [process.communicate()[1] for process in started]
        for process, text in zip(started, errors, strict=True):
            if process.returncode:
                last = (text.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
                raise StorageError(f"{name}: a process that collects episodes failed: {last}")
        return [store.load(_part(folder, i)) for i in range(len(jobs))]


def _part(folder: Path, index: int) -> Path:
    return folder / f"part-{index}.hdf5"


def _work(folder: Path, first: int, step: int) -> None:
    """Collects the jobs `first`, `first + step`, ... of a folder."""
    jobs: list[Any] = json.loads((folder / "jobs.json").read_text())
    for i in range(first, len(jobs), step):
        store.save(collect_job(Job(*jobs[i])), _part(folder, i))


if __name__ == "__main__":
    _work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
