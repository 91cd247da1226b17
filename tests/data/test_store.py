"""Our own files: round trips, digests, damage."""

import os

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, StorageError, UsageError
from jaxrl.data import safe, store
from jaxrl.data.dataset import dataset_hash, from_arrays

N = 2000


@pytest.fixture
def data():
    x = np.random.default_rng(0).normal(size=(N, 17))
    obs = {"joints": x, "camera": np.zeros((N, 2, 2), np.uint8)}
    end = np.arange(N) % 20 == 19
    made = from_arrays(
        {
            "obs": obs,
            "action": np.arange(N) % 3,
            "reward": x[:, 0],
            "next_obs": obs,
            "terminated": end,
            "truncated": np.zeros(N, bool),
            "is_expert": end,
        },
        meta=(("name", "toy"), ("random_return", -1.5), ("steps", N), ("clipped", True)),
    )
    return made.replace(mask=jnp.linspace(0.0, 1.0, N))


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
def test_round_trip(tmp_path, data, suffix):
    path = tmp_path / f"a folder ä{suffix}"
    digest = store.save(data, path)
    again = store.load(path, digest=digest)
    assert jax.tree.structure(again) == jax.tree.structure(data)
    jax.tree.map(np.testing.assert_array_equal, again, data)
    assert dataset_hash(again) == dataset_hash(data)
    assert store.save(again, tmp_path / f"b{suffix}") == digest
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"a folder ä{suffix}", f"b{suffix}"]


KEYS = ("walker/joints_pos", "a%2Fb", "%", "", ".", "..", "x.npy", "ä b", "%2E", "/")


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
def test_keys_of_every_kind_come_back(tmp_path, suffix):
    """A slash in a key is not a level, and `{"a": x, "a/b": y}` is two arrays."""
    obs = {key: np.full((3, 2), i, np.float32) for i, key in enumerate(KEYS)}
    obs |= {
        "a": np.zeros(3, np.float32),
        "a/b": np.ones(3, np.float32),
        "c": {"d/e": np.ones((3, 1), np.uint8)},
    }
    made = small(obs=obs, next_obs=obs)
    store.save(made, tmp_path / f"x{suffix}")
    again = store.load(tmp_path / f"x{suffix}")
    assert jax.tree.structure(again) == jax.tree.structure(made)
    jax.tree.map(np.testing.assert_array_equal, again, made)


def small(**changes):
    arrays = {name: np.zeros(3, np.float32) for name in ("obs", "action", "reward", "next_obs")}
    ends = {"terminated": np.arange(3) == 2, "truncated": np.zeros(3, bool)}
    return from_arrays(arrays | ends | changes)


def test_numpy_scalars_of_the_metadata_become_plain(tmp_path):
    meta = (
        ("gap", np.float32(0.5)),
        ("steps", np.int64(7)),
        ("clipped", np.bool_(True)),
        ("name", np.str_("x")),
    )
    store.save(small().replace(meta=meta), tmp_path / "x.npz")
    again = store.load(tmp_path / "x.npz").meta
    assert again == (("gap", 0.5), ("steps", 7), ("clipped", True), ("name", "x"))
    assert [type(value) for _, value in again] == [float, int, bool, str]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"meta": (("shape", (2, 3)),)}, "meta 'shape' is a tuple; give text"),
        ({"meta": (("table", np.zeros(2)),)}, "meta 'table' is a ndarray; give text"),
        ({"obs": (jnp.zeros(3),)}, r"obs has an entry \[0\]; store arrays, or dicts"),
        ({"obs": {}}, "obs has the structure .*; store arrays, or dicts"),
        ({"obs": {"\ud800": jnp.zeros(3)}}, "obs has an entry .*; store arrays, or dicts of arrays by text"),
        ({"obs": {3: jnp.zeros(3)}}, r"obs has an entry \[3\]; store arrays, or dicts of arrays by text"),
        ({"obs": {"a": jnp.zeros(3), "b": {}}}, "obs has the structure .*; store arrays, or dicts"),
        ({"obs": jnp.zeros(3, jnp.bfloat16)}, "obs has type bfloat16 .* store 3 rows of numbers"),
        ({"obs": jnp.zeros(4)}, r"obs has type float32 and shape \(4,\); store 3 rows"),
    ],
)
def test_what_would_not_come_back_is_refused_before_writing(tmp_path, change, message):
    path = tmp_path / "x.npz"
    with pytest.raises(UsageError, match=message):
        store.save(small().replace(**change), path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
def test_permissions_follow_the_umask(tmp_path, suffix):
    before = os.umask(0o022)
    try:
        store.save(small(), tmp_path / f"x{suffix}")
    finally:
        os.umask(before)
    assert (tmp_path / f"x{suffix}").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("suffix", [".npz", ".hdf5"])
def test_no_flipped_bit_gives_other_data(tmp_path, data, suffix):
    """Every damaged file is refused or gives the saved rows (a bit nobody reads)."""
    path = tmp_path / f"x{suffix}"
    digest = store.save(data, path)
    whole = path.read_bytes()
    rng, refused = np.random.default_rng(1), 0
    for where in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[where] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(CorruptInput, match="SHA-256"):
            store.load(path, digest=digest)
        try:
            assert dataset_hash(store.load(path)) == dataset_hash(data)
        except CorruptInput:
            refused += 1
    assert refused > 50


def test_hdf5_carries_checksums(tmp_path, data):
    store.save(data, tmp_path / "x.hdf5")
    with h5py.File(tmp_path / "x.hdf5") as file:
        for name in ("obs/joints", "reward", "meta"):
            assert (file[name].fletcher32, file[name].compression) == (True, "gzip")


def test_unwritable_and_foreign_files(tmp_path, data):
    with pytest.raises(StorageError, match="dataset not written"):
        store.save(data, tmp_path / "nowhere" / "x.npz")
    with pytest.raises(UsageError, match=r"x.pkl: name must end in .npz or .hdf5"):
        store.save(data, tmp_path / "x.pkl")
    with pytest.raises(UsageError, match="obs has an entry"):
        store.save(data.replace(obs=(data.reward,)), tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", obs=np.zeros(3))
    with pytest.raises(CorruptInput, match=r"x.npz: action is missing; write the file with"):
        store.load(tmp_path / "x.npz")
    store.save(data, tmp_path / "x.npz")
    arrays = safe.read_npz(tmp_path / "x.npz")
    for change, message in [
        ({"reward": arrays["reward"][:-1]}, "unequal length"),
        ({"extra": arrays["reward"]}, "unknown array extra"),
        ({"meta": np.frombuffer(b"{", np.uint8)}, "meta is not a list of pairs"),
    ]:
        np.savez(tmp_path / "x.npz", **(arrays | change))
        with pytest.raises(CorruptInput, match=message):
            store.load(tmp_path / "x.npz")
