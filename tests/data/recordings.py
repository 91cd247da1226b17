"""Files of foreign formats, written to their documented layouts from one list of episodes.

`EPISODES` is the truth: observations of T + 1 rows, and how the episode ended.
"""

import json

import h5py
import jax
import numpy as np

from jaxrl.core.spaces import Box

SPACE = Box(-1.0, 1.0, (2,))
RNG = np.random.default_rng(0)
# length, how it ends; the third is one step long
EPISODES = [
    {
        "obs": np.cumsum(RNG.normal(size=(length + 1, 3)), axis=0).astype(np.float32) + 100 * i,
        "action": RNG.uniform(-1, 1, (length, 2)).astype(np.float32),
        "reward": RNG.normal(size=length).astype(np.float32),
        "terminated": ended == "terminated",
    }
    for i, (length, ended) in enumerate(
        [(4, "terminated"), (6, "truncated"), (1, "terminated"), (6, "truncated")]
    )
]
LENGTHS = np.array([len(e["action"]) for e in EPISODES])


def cat(name):
    return np.concatenate([e[name] for e in EPISODES])


def flags(terminated):
    """One flag per row, set at the ends of that kind."""
    rows = np.zeros(LENGTHS.sum(), bool)
    ends = np.cumsum(LENGTHS) - 1
    rows[[end for end, e in zip(ends, EPISODES, strict=True) if e["terminated"] == terminated]] = True
    return rows


def write_d4rl(path, **changes):
    """`changes`: other arrays, None for those that are to be missing."""
    arrays = {
        "observations": np.concatenate([e["obs"][:-1] for e in EPISODES]),
        "next_observations": np.concatenate([e["obs"][1:] for e in EPISODES]),
        "actions": cat("action"),
        "rewards": cat("reward"),
        "terminals": flags(True),
        "timeouts": flags(False),
    }
    with h5py.File(path, "w") as file:
        for name, array in {**arrays, **changes}.items():
            if array is not None:
                file[name] = array
        file["metadata/algorithm"] = "SAC"  # text, which the loader must not touch
        file["infos/qpos"] = np.zeros((len(arrays["rewards"]), 2))
    return path


def write_minari(folder, references=True, change=lambda number, arrays: None):
    (folder / "data").mkdir(parents=True)
    with h5py.File(folder / "data" / "main_data.hdf5", "w") as file:
        for i, e in enumerate(EPISODES):
            t = len(e["action"])
            last = np.arange(t) == t - 1
            arrays = {
                "observations": e["obs"],
                "actions": e["action"],
                "rewards": e["reward"].astype(np.float64),
                "terminations": last & e["terminated"],
                "truncations": last & (not e["terminated"]),
                "infos/success": np.zeros(t + 1),
            }
            change(i, arrays)
            for name, array in arrays.items():
                file[f"episode_{i}/{name}"] = array
            file[f"episode_{i}"].attrs.update(id=i, total_steps=t, seed=0)
    metadata = {"dataset_id": "toy-v0", "total_episodes": len(EPISODES)}
    if references:
        metadata |= {"ref_min_score": -3.0, "ref_max_score": 5.0}
    (folder / "data" / "metadata.json").write_text(json.dumps(metadata))
    return folder


def write_imitation(path, **changes):
    arrays = {
        "obs": cat("obs"),
        "acts": cat("action"),
        "rews": cat("reward").astype(np.float64),
        "indices": np.cumsum(LENGTHS)[:-1],
        "terminal": np.ones(4, bool),
        "infos": np.array([{}] * 3, object),  # the published files carry pickles
    }
    np.savez(path, **{k: v for k, v in {**arrays, **changes}.items() if v is not None})
    return path


def write_stable_baselines(path, time=False, **changes):
    obs = np.concatenate([e["obs"][:-1] for e in EPISODES])
    starts = np.concatenate([np.arange(t) == 0 for t in LENGTHS])
    arrays = {
        "obs": obs,
        "next_obs": np.roll(obs, -1, axis=0),  # that of the next reset at ends, as in the real files
        "actions": cat("action"),
        "rewards": cat("reward")[:, None],
        "episode_returns": np.zeros(4),
        "episode_starts": starts,
    }
    if time:
        left = np.concatenate([1 - np.arange(t) / 1000 for t in LENGTHS])
        arrays |= {"obs": np.column_stack([obs, left]), "episode_starts": np.array([None], object)}
    np.savez(path, **{**arrays, **changes})
    return path


def same_rows(one, two):
    """Asserts equal structure, types and values, whatever the metadata."""
    one, two = one.replace(meta=()), two.replace(meta=())
    assert jax.tree.structure(one) == jax.tree.structure(two)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
