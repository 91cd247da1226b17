"""A run that was interrupted is the run that was not."""

import json
import random

import jax
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.run.folder import RunFolder, atomic_write
from tests.reliability import toy_run
from tests.reliability.processes import run as run_script
from tests.run.interrupted import killed_inside_a_save

TIMES = ("wall_s", "cpu_s")


def timeless(folder: RunFolder) -> list[dict]:
    return [{k: v for k, v in r.items() if k not in TIMES} for r in folder.read_metrics()]


def test_killed_three_times_equals_uninterrupted(tmp_path):
    whole = toy_run.new_folder(tmp_path / "whole")
    expected = toy_run.run(toy_run.Config(), whole)
    folder = toy_run.new_folder(tmp_path / "killed")
    rng = random.Random(3)
    kills = [f"log:{rng.randint(5, 12)}", f"manifest:{rng.randint(11, 20)}", f"prune:{rng.randint(21, 30)}"]
    for kill in kills:
        status, _ = run_script(folder.path, "--kill", kill, "--cores", 3)
        assert status == -9
    status, text = run_script(folder.path)
    assert status == 0, text
    assert "taking over the lock of pid" in text
    assert str(folder.load_result()["digest"]) == toy_run.digest(expected)
    assert timeless(folder) == timeless(whole)


@pytest.mark.parametrize("lane", [1, 2])
def test_chunks_and_devices_change_no_bit(lane):
    cases = [(1, 4), (7, 2), (50, 3), (None, 4)]  # three devices: padded
    digests = {
        toy_run.digest(toy_run.run(toy_run.Config(updates=20, chunk=chunk, lane=lane), devices=devices))
        for chunk, devices in cases
    }
    assert len(digests) == 1


def test_changed_runs_are_refused_with_the_differences(tmp_path):
    folder = toy_run.new_folder(tmp_path, updates=10)
    toy_run.run(toy_run.Config(updates=10), folder)
    with pytest.raises(UsageError, match=r"hypers\.lr: .* -> "):
        toy_run.run(toy_run.Config(updates=10, lr=(0.1, 0.1, 0.1, 0.3)), folder)
    with pytest.raises(UsageError, match="lane: 1 -> 2"):
        toy_run.run(toy_run.Config(updates=10, lane=2), folder)
    with pytest.raises(UsageError, match=r"undo the change: algorithm\.Config\.width: 8 -> 9$"):
        toy_run.run(toy_run.Config(updates=10, width=9), folder)
    with pytest.raises(UsageError, match=r"undo the change: algorithm\.Config\.width: 8 -> 0$"):
        toy_run.run(toy_run.Config(updates=10, width=0), folder)
    record = json.loads((folder.path / "config.json").read_text())
    record["config"]["members"] = 5
    atomic_write(folder.path / "config.json", json.dumps(record))
    with pytest.raises(UsageError, match=r"config\.members: 4 -> 5"):
        toy_run.run(toy_run.Config(updates=10), folder)


def test_half_a_line_and_lines_beyond_the_checkpoint_are_dropped(tmp_path):
    whole = toy_run.new_folder(tmp_path / "whole", updates=20)
    expected = toy_run.run(toy_run.Config(updates=20), whole)
    folder = toy_run.new_folder(tmp_path / "cut", updates=20)
    toy_run.run(toy_run.Config(updates=20), folder)
    killed_inside_a_save(folder, 10)
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write('{"stage": "train", "upd')
    assert toy_run.digest(toy_run.run(toy_run.Config(updates=20), folder)) == toy_run.digest(expected)
    updates = [r["update"] for r in folder.read_metrics()]
    assert updates == [4, 8, 10, 12, 16, 20]
    assert timeless(folder) == timeless(whole)


def test_resuming_with_other_devices_and_padding_changes_no_bit(tmp_path):
    config = toy_run.Config(updates=20, members=3)
    expected = toy_run.digest(toy_run.run(config, devices=3))
    folder = toy_run.new_folder(tmp_path, updates=20, members=3)
    toy_run.run(config, folder, devices=2)  # padded to four members
    killed_inside_a_save(folder, 10)
    assert toy_run.digest(toy_run.run(config, folder, devices=3)) == expected
    killed_inside_a_save(folder, 10)
    assert toy_run.digest(toy_run.run(config, folder, devices=2)) == expected
    assert len(jax.devices()) == 4


def test_a_float64_run_killed_inside_a_save_ends_in_equal_bits_on_two_and_four_devices(tmp_path):
    config = toy_run.Config(float64=True)
    with jax.enable_x64(True):
        whole = toy_run.run(config, devices=4)
        expected = toy_run.digest(whole)
        assert whole.state.params["w1"].dtype == "float64"
    folder = toy_run.new_folder(tmp_path, float64=True)
    for cores, kill in ((2, "manifest:11"), (4, "log:25")):
        status, _ = run_script(folder.path, "--kill", kill, "--cores", cores)
        assert status == -9
    status, text = run_script(folder.path, "--cores", 2)
    assert status == 0, text
    assert str(folder.load_result()["digest"]) == expected
    assert folder.meta["x64"] is True
    refusal = "float64: checkpoint 40 of train was made with float64=True; continue it so, or start a new run"
    with pytest.raises(UsageError, match=refusal):
        toy_run.run(toy_run.Config(), folder)


def test_a_float32_run_is_not_continued_in_float64(tmp_path):
    folder = toy_run.new_folder(tmp_path, updates=10)
    toy_run.run(toy_run.Config(updates=10), folder)
    with jax.enable_x64(True), pytest.raises(UsageError, match="was made with float64=False; continue it so"):
        toy_run.run(toy_run.Config(updates=10, float64=True), folder)


def test_the_replay_of_a_diverged_float64_member_names_the_update(tmp_path):
    folder = toy_run.new_folder(tmp_path, updates=20, poison=(13, 2), float64=True)
    status, text = run_script(folder.path)
    assert (status, "seed 2: 'reward' at update 13" in text) == (4, True), text
    status, text = run_script(folder.path, "--debug-nan")
    assert (status, "not finite at update 13" in text) == (4, True), text
