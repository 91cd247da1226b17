"""Files of rules: written, read back, and refused where anything about them is wrong."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.meta import drift, zoo
from jaxrl.meta.certificates import check_drift
from jaxrl.meta.objective import Time
from jaxrl.meta.sensitivity import sensitivity

ARRAYS = {
    "W1": np.linspace(-1, 1, 32, dtype=np.float32).reshape(16, 2),
    "w2": np.array([0.5, -1.0], np.float32),
}
ARGUMENTS = {"initial": "ppo", "hidden": 2}
RECORD = {"command", "configuration", "certificate", "training", "evaluation"}


@pytest.fixture
def folder(tmp_path):
    zoo.save("own", "ta_lpo", ARGUMENTS, ARRAYS, {"command": "jaxrl run"}, tmp_path)
    return tmp_path


def edit(folder, **fields):
    path = folder / "own.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_rule_comes_back_as_it_was_saved(folder):
    entry = zoo.load("own", "drift", folder)
    assert entry.record["command"] == "jaxrl run" and entry.objective.inputs == ("n/N",)
    rule = drift.ta_lpo(**ARGUMENTS)
    phi = rule.init(jax.random.key(1)) | {k: jnp.array(v) for k, v in ARRAYS.items()}
    points = jnp.array([0.5, 1.5]), jnp.log(jnp.array([0.5, 1.5])), jnp.array([-1.0, 1.0])
    expected = rule.apply(phi, *points, Time(1.0, 2.0))
    assert np.array_equal(entry.objective.apply(entry.phi, *points, Time(1.0, 2.0)), expected)


def test_names_are_listed_before_jax_chooses_its_devices():
    script = (
        "import jax; from jaxrl.meta import zoo; from experiments.meta import board;"
        "board.estimate(board.Config()); assert len(zoo.names(slot='drift')) > 9;"
        "jax.config.update('jax_num_cpu_devices', 2); assert len(jax.devices()) == 2"
    )
    root = Path(zoo.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rules_made_by_hand_are_loaded_by_name():
    assert zoo.load("dpo").objective.name == "DPO"
    ratio, log_ratio, advantage = jnp.array([1.5]), jnp.log(jnp.array([1.5])), jnp.array([1.0])

    class Hyper:
        updates_total = 10.0

    gain = zoo.load("ppo").surrogate(ratio, advantage, 0.0, {"log_ratio": log_ratio, "hyper": Hyper})
    np.testing.assert_allclose(gain, [1.2], rtol=1e-6)


def test_a_rule_with_a_schedule_is_no_surrogate():
    rule = drift.scheduled_ppo()
    entry = zoo.Entry("own", rule, rule.init(jax.random.key(0)), {})
    with pytest.raises(UsageError, match=r"own: has a schedule; use drift\.learner"):
        entry.surrogate  # noqa: B018


def test_every_shipped_drift_meets_the_conditions_and_has_a_record():
    for name in zoo.names(slot="drift"):
        entry = zoo.load(name)
        check_drift(entry.objective, entry.phi)
        if entry.record:
            assert entry.record.keys() >= RECORD
            assert sum((zoo.FOLDER / f"{name}.{kind}").stat().st_size for kind in ("npz", "json")) < 50_000


def test_every_shipped_rule_for_targets_does_what_its_certificate_says():
    names = zoo.names(slot="targets")
    assert "reinforce" in names
    for name in names:
        entry = zoo.load(name)
        own = {"predictions": entry.record["arguments"].get("predictions", 8)} if entry.record else {}
        found = sensitivity(entry.objective, entry.phi, **own)._asdict()
        if not entry.record:
            assert found["slope"] == pytest.approx(np.exp(1.75), rel=1e-5)
            continue
        assert entry.record.keys() >= RECORD
        assert found == pytest.approx(entry.record["certificate"], rel=1e-3, abs=1e-5)
        assert (zoo.FOLDER / f"{name}.npz").stat().st_size < 50_000


@pytest.mark.parametrize(
    ("rule", "arguments"),
    [
        ("lpg", {"predictions": 2, "inputs": ["n/N", "ln N"], "width": 3, "embedding": 2, "bias": False}),
        ("reinforce", {"inputs": ["n/N", "ln N"], "log_scale": 0.25}),
    ],
)
def test_rules_for_targets_come_back_as_they_were_saved(rule, arguments, tmp_path):
    objective = zoo.RULES[rule](**arguments | {"inputs": ("n/N", "ln N")})
    phi = jax.tree.map(lambda x: x + 0.1, objective.init(jax.random.key(3)))
    zoo.save("own", rule, arguments, zoo.learned(phi), {}, tmp_path)
    entry = zoo.load("own", "targets", tmp_path)
    assert entry.objective is zoo.load("own", folder=tmp_path).objective  # one program for both
    assert entry.objective.inputs == ("n/N", "ln N")
    for a, b in zip(jax.tree.leaves(entry.phi), jax.tree.leaves(phi), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(UsageError, match='own is of the slot "targets", not of "drift"'):
        zoo.load("own", "drift", tmp_path)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"format": 2}, "has format 2, this version reads 1; update jaxrl"),
        ({"sha256": "0" * 64}, "SHA-256 is"),
        ({"slot": "targets"}, "slot 'targets', but TA-LPO, from PPO of this version has 'drift'"),
        ({"features": ["d"]}, "features ['d'], but TA-LPO, from PPO of this version has"),
        ({"inputs": []}, "inputs [], but TA-LPO, from PPO of this version has ('n/N',)"),
        ({"arguments": {"initial": "ppo", "hidden": 3}}, "has arrays {'W1': (16, 2), 'w2': (2,)}, but"),
        ({"rule": "ta_lpq"}, "rule 'ta_lpq' is unknown; did you mean 'ta_lpo'?"),
        ({"arguments": {"width": 3}}, "ta_lpo cannot be made of {'width': 3}"),
    ],
)
def test_files_that_do_not_fit_are_refused_with_both_sides(folder, fields, says):
    edit(folder, **fields)
    with pytest.raises(CorruptInput) as error:
        zoo.load("own", folder=folder)
    assert says in str(error.value)


def test_damaged_records_and_unknown_names_are_refused(folder):
    with pytest.raises(UsageError, match="slot: 'bogus' is none of drift, targets"):
        zoo.names(slot="bogus")
    (folder / "own.json").write_text("{")
    with pytest.raises(CorruptInput, match="not the record of a rule"):
        zoo.load("own", folder=folder)
    with pytest.raises(UsageError, match="no 'onw'; did you mean 'own'"):
        zoo.load("onw", folder=folder)
    with pytest.raises(UsageError, match='ppo is of the slot "drift", not of "targets"'):
        zoo.load("ppo", "targets")


def test_arrays_that_are_not_of_the_rule_are_not_saved(tmp_path):
    with pytest.raises(UsageError, match="has arrays"):
        zoo.save("bad", "lpo", {"hidden": 2}, ARRAYS, {}, tmp_path)
    with pytest.raises(UsageError, match="w2 is not finite"):
        zoo.save("bad", "ta_lpo", ARGUMENTS, ARRAYS | {"w2": np.array([np.nan, 0])}, {}, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_rule_is_read_from_the_wheel(tmp_path):
    root = Path(zoo.__file__).parents[2]
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    folder = tmp_path / "jaxrl" / "meta" / "zoo_files"
    assert zoo.names(folder) == zoo.names() and len(zoo.names()) > len(zoo.BY_HAND)
    for name in zoo.names():
        shipped, own = zoo.load(name, folder=folder), zoo.load(name)
        assert shipped.record == own.record
        for a, b in zip(jax.tree.leaves(shipped.phi), jax.tree.leaves(own.phi), strict=True):
            np.testing.assert_array_equal(a, b)
