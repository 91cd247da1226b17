"""Checkpoints by themselves: what goes in comes out, and what is refused."""

import json
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.run.checkpoint import MANIFEST, Checkpoints, CorruptCheckpoint, _digest


class Nested(NamedTuple):
    a: object
    b: object


def tree():
    params = {"w": jnp.arange(6.0).reshape(2, 3) / 7, "half": jnp.asarray([1.5, -0.25], jnp.bfloat16)}
    return {
        "keys": jax.random.split(jax.random.key(3), 4),
        "rbg": jax.random.key(1, impl="rbg"),
        "nested": Nested(
            jnp.asarray([True, False]), {"empty": {}, "none": None, "nothing": jnp.zeros((0, 3))}
        ),
        "opt": optax.adam(1e-3).init(params),
        "params": params,
    }


def abstract(tree):
    return jax.eval_shape(lambda: tree)


def assert_same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype and x.shape == y.shape
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def test_every_kind_of_leaf_round_trips_bit_for_bit(tmp_path):
    checkpoints = Checkpoints(tmp_path / "stage")
    checkpoints.save(5, tree(), {"note": "x"})
    step, manifest = Checkpoints(tmp_path / "stage").choose("latest")
    assert step == 5 and manifest["meta"] == {"note": "x"}
    assert_same_bits(Checkpoints(tmp_path / "stage").restore(5, manifest, abstract(tree())), tree())


def test_structure_shape_and_dtype_are_compared_before_anything_is_read(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"w": jnp.ones((2, 3)), "b": jnp.ones(2)}, {})
    manifest = checkpoints.verify(1)
    for like, sentence in [
        (
            {"w": jnp.ones((2, 3), jnp.bfloat16), "b": jnp.ones(2)},
            r'"float32\[2, 3\]" -> "bfloat16\[2, 3\]"',
        ),
        ({"w": jnp.ones((3, 2)), "b": jnp.ones(2)}, r'"float32\[2, 3\]" -> "float32\[3, 2\]"'),
        ({"w": jnp.ones((2, 3))}, r"\['b'\]: .* -> .\(absent\)"),
        ({"w": jnp.ones((2, 3)), "b": jnp.ones(2), "c": jnp.ones(1)}, r"\['c'\]: .\(absent\). -> "),
    ]:
        with pytest.raises(UsageError, match=sentence):
            checkpoints.restore(1, manifest, abstract(like))


def test_keeps_the_last_and_the_protected(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(1, 10):
        checkpoints.save(step, {"x": jnp.ones(1)}, {}, protect=frozenset({2}))
        assert checkpoints.steps()[-1] == step
    assert checkpoints.steps() == [2, 8, 9]
    assert all(checkpoints.verify(s)["step"] == s for s in checkpoints.steps())


def test_refuses_what_is_not_finite_and_steps_that_exist(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    bad = jnp.asarray([1.0, jnp.nan])
    with pytest.raises(NumericalFailure, match="checkpoint 1: params is not finite"):
        checkpoints.save(1, {"params": bad}, {}, finite={"params": [bad]})
    assert checkpoints.steps() == []
    checkpoints.save(2, {"params": bad}, {})
    with pytest.raises(UsageError, match="a checkpoint of this or a later step exists"):
        checkpoints.save(2, {"params": bad}, {})
    with pytest.raises(UsageError, match="keep: must be >= 1"):
        Checkpoints(tmp_path, keep=0)
    with pytest.raises(UsageError, match=r"no checkpoint 7; there are \[2\]"):
        checkpoints.choose(7)
    with pytest.raises(UsageError, match="'newest' is no step"):
        checkpoints.choose("newest")


def test_written_by_a_newer_version_is_a_warning(tmp_path):
    lines = []
    checkpoints = Checkpoints(tmp_path, say=lines.append)
    checkpoints.save(1, {"x": jnp.ones(1)}, {})
    path = tmp_path / "1" / MANIFEST
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    manifest["versions"]["jax"] = "99.1.0"
    path.write_text(json.dumps({**manifest, "sha256": _digest(manifest)}))
    restored = checkpoints.restore(1, checkpoints.verify(1), abstract({"x": jnp.ones(1)}))
    assert restored["x"].tolist() == [1.0]
    assert lines == [f"warning: checkpoint written with jax 99.1.0, installed {jax.__version__}"]


def test_set_aside_not_deleted(tmp_path):
    checkpoints = Checkpoints(tmp_path / "stage", say=lambda _: None)
    for step in (1, 2, 3):
        checkpoints.save(step, {"x": jnp.ones(1)}, {})
    checkpoints.discard_after(1)
    assert checkpoints.steps() == [1]
    aside = next(p for p in tmp_path.iterdir() if p.name.startswith("stage.rejected-"))
    assert sorted(p.name for p in aside.iterdir()) == ["2", "3"]
    fresh = Checkpoints(tmp_path / "stage")
    fresh.save(2, {"x": jnp.ones(1)}, {})
    assert fresh.steps() == [1, 2]


def rewritten(path, **fields):
    """A manifest with other fields and a right hash of itself."""
    manifest = json.loads(path.read_text())
    del manifest["sha256"]
    manifest |= fields
    path.write_text(json.dumps({**manifest, "sha256": _digest(manifest)}))


def test_a_manifest_lists_every_file_of_its_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": jnp.ones(1)}, {})
    path = tmp_path / "1" / MANIFEST
    files = json.loads(path.read_text())["files"]
    rewritten(path, files={})
    with pytest.raises(CorruptCheckpoint, match="found one that the manifest does not list"):
        checkpoints.choose("latest")
    name = sorted(files)[0]
    rewritten(path, files={k: v for k, v in files.items() if k != name})
    with pytest.raises(CorruptCheckpoint) as error:
        checkpoints.choose("latest")
    assert error.value.file == name
    rewritten(path, files=files)
    assert checkpoints.choose("latest")[0] == 1
    for file in (p for p in (tmp_path / "1").rglob("*") if p.is_file() and p.name != MANIFEST):
        file.unlink()
    rewritten(path, files={})
    with pytest.raises(CorruptCheckpoint, match="expected a list of files, found an empty one"):
        checkpoints.choose("latest")


def test_a_manifest_of_another_format_is_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": jnp.ones(1)}, {})
    rewritten(tmp_path / "1" / MANIFEST, format=1)
    with pytest.raises(CorruptCheckpoint, match="expected format 2, step 1, found format 1, step 1"):
        checkpoints.choose("latest")
