"""`jaxrl verify`: says yes to an honest run and names what is wrong with any other."""

import json
import shutil

import numpy as np
import pytest

from jaxrl.cli import api, execution, verify
from jaxrl.cli.main import main
from jaxrl.core.errors import CorruptInput
from jaxrl.run.checkpoint import CorruptCheckpoint
from jaxrl.run.folder import RunFolder
from tests.run import ring


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return api.run("toy/ring", "smoke", root=ring.make_root(tmp_path_factory.mktemp("root")))


@pytest.fixture
def run(original, tmp_path):
    """A copy of the run beside its root, which tests may damage."""
    path = original.path.parent / tmp_path.name
    shutil.copytree(original.path, path)
    yield RunFolder(path)
    shutil.rmtree(path)


def check(folder):
    return verify.verify(*execution.reopen(folder), folder)


def contents(folder):
    return {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}


def test_an_honest_run_gets_its_line_and_is_not_touched(run, capsys):
    before = contents(run)
    assert main(["verify", str(run.path)]) == 0
    line = capsys.readouterr().out.strip().splitlines()[-1]
    assert line.startswith("verified: 3 checkpoints (")
    assert "2 updates were repeated with equal bits in" in line
    assert contents(run) == before
    facts = check(run)
    steps = sorted(int(p.name) for p in (run.path / "checkpoints" / "train").iterdir() if p.name.isdigit())
    manifest = json.loads((run.path / "checkpoints" / "train" / str(steps[-1]) / "MANIFEST.json").read_text())
    assert (facts["replayed"], facts["arrays"]) == (steps[-1] - steps[-2], 2)
    assert facts["leaves"] == len(manifest["tree"])


def test_arrays_of_a_checkpoint_are_what_training_left(run):
    (checkpoints,) = execution.stage_checkpoints(run).values()
    arrays = verify.final_arrays(checkpoints, 6)
    assert set(arrays) == {name for name, _, _ in checkpoints.verify(6)["tree"]}
    (updates,) = (a for name, a in arrays.items() if name.endswith(".updates"))
    np.testing.assert_array_equal(updates, [6, 6])
    (table,) = (a for name, a in arrays.items() if name == "['state'].params['q']")
    value = run.load_result()["value"][0, :, -1]
    np.testing.assert_allclose(value, table.sum((1, 2)), atol=0.01)  # the evaluation adds noise of 1e-3


@pytest.mark.parametrize("name", ["value", "update"])
def test_one_changed_number_in_the_result_is_found(run, name):
    arrays = run.load_result()
    arrays[name] = arrays[name].copy()
    arrays[name].flat[-1] = np.nextafter(arrays[name].flat[-1], np.inf).astype(arrays[name].dtype) + (
        name == "update"
    )
    run.save_result(**arrays)
    with pytest.raises(CorruptInput, match=rf"result\.npz: {name} differs from the replay"):
        check(run)


def test_a_missing_and_an_invented_array_are_found(run):
    arrays = run.load_result()
    run.save_result(**arrays, better=np.ones(1))
    with pytest.raises(CorruptInput, match="better exists only in the run"):
        check(run)
    del arrays["update"]
    run.save_result(**arrays)
    with pytest.raises(CorruptInput, match="update exists only in its replay"):
        check(run)


def test_a_changed_metric_is_found(run):
    path = run.path / "metrics.jsonl"
    lines = path.read_text().splitlines()
    record = json.loads(lines[-1])
    record["loss"][0] += 1.0
    path.write_text("\n".join([*lines[:-1], json.dumps(record)]) + "\n")
    with pytest.raises(
        CorruptInput, match=r"metrics\.jsonl: the lines of stage train up to update 6 are not those"
    ):
        check(run)


def test_an_invented_metric_line_is_found(run):
    path = run.path / "metrics.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    with pytest.raises(
        CorruptInput, match=r"metrics\.jsonl: the lines of stage train up to update 6 are not those"
    ):
        check(run)


def test_a_damaged_checkpoint_is_found_first(run):
    step = run.path / "checkpoints" / "train" / "4"
    file = max(
        (p for p in step.rglob("*") if p.is_file() and p.name != "MANIFEST.json"),
        key=lambda p: p.stat().st_size,
    )
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptCheckpoint, match="checkpoint 4"):
        check(run)
    assert main(["verify", str(run.path)]) == 5


def test_other_code_gives_other_bits_and_the_versions_are_named(run, monkeypatch):
    module, config = execution.reopen(run)
    made = run.meta["versions"]
    run.update_meta(versions={**made, "jax": "0.0.1"})

    def changed(config, folder):
        original_run(config, folder)
        folder.save_result(**{**folder.load_result(), "value": folder.load_result()["value"] + 1})

    original_run = module.run
    monkeypatch.setattr(module, "run", changed)
    with pytest.raises(CorruptInput, match=rf"made with jax 0\.0\.1, now {made['jax']}"):
        verify.verify(module, config, run)


def test_a_run_without_a_result_is_checked_for_damage_only(run):
    (run.path / "result.npz").unlink()
    facts = check(run)
    assert (facts["checkpoints"], facts["replayed"]) == (3, None)
    assert verify.sentence(facts).endswith("no result yet, nothing was replayed")


def test_a_run_with_a_single_checkpoint_is_repeated_from_the_start(run):
    for step in ("2", "4"):
        shutil.rmtree(run.path / "checkpoints" / "train" / step)
    assert check(run)["replayed"] == 6
