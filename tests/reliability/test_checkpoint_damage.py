"""Damaged, incomplete and failed checkpoints are never restored."""

import logging
import shutil

import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, StorageError
from jaxrl.run.checkpoint import MANIFEST, Checkpoints, CorruptCheckpoint
from tests.reliability import toy_run
from tests.reliability.processes import run as run_script

CONFIG = toy_run.Config(updates=20)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = toy_run.new_folder(tmp_path_factory.mktemp("finished"), updates=20)
    return folder, toy_run.digest(toy_run.run(CONFIG, folder))


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, which a test may damage."""
    path = tmp_path / finished[0].path.name
    shutil.copytree(finished[0].path, path)
    return toy_run.RunFolder.open(path)


def largest_file(step):
    return max(
        (f for f in step.rglob("*") if f.is_file() and f.name != MANIFEST), key=lambda f: f.stat().st_size
    )


def test_a_flipped_byte_is_named_and_latest_good_continues(finished, copy):
    file = largest_file(copy.checkpoints / "train" / "20")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    status, text = run_script(copy.path)
    assert status == 5
    assert f"checkpoint 20: {file.relative_to(copy.checkpoints / 'train' / '20')}: expected sha256" in text
    assert "Traceback" not in text
    status, text = run_script(copy.path, "--from", "latest-good")
    assert status == 0, text
    assert "rejected checkpoint 20" in text and "continuing after update 10" in text
    assert str(copy.load_result()["digest"]) == finished[1]


@pytest.mark.parametrize("damage", ["truncate", "delete", "flip"])
def test_damage_to_any_file_of_a_checkpoint_is_named(finished, copy, damage):
    step = copy.checkpoints / "train" / "20"
    checkpoints = Checkpoints(step.parent)
    files = sorted(f for f in step.rglob("*") if f.is_file())
    assert len(files) > 8
    for file in files:
        original = file.read_bytes()
        if damage == "delete":
            file.unlink()
        elif damage == "truncate":
            file.write_bytes(original[: len(original) // 2])
        else:
            middle = len(original) // 2
            flipped = bytes([original[middle] ^ 4]) if original else b"x"
            file.write_bytes(original[:middle] + flipped + original[middle + 1 :])
        if file.name == MANIFEST and damage == "delete":
            assert checkpoints.choose("latest")[0] == 10  # without a manifest it is no checkpoint
        elif original or damage != "truncate":
            with pytest.raises(CorruptCheckpoint) as error:
                checkpoints.choose("latest")
            assert error.value.step == 20 and error.value.file == str(file.relative_to(step))
            assert checkpoints.choose("latest-good")[0] == 10
        file.write_bytes(original)
    assert checkpoints.choose("latest")[0] == 20


def test_a_file_where_checkpoints_belong_is_named(copy):
    shutil.rmtree(copy.checkpoints)
    copy.checkpoints.write_text("")
    with pytest.raises(CorruptInput, match="checkpoints: is a file where a folder of checkpoints belongs"):
        Checkpoints(copy.checkpoints / "train")


def test_debris_is_set_aside_with_one_line(finished, copy, capsys):
    stage = copy.checkpoints / "train"
    (stage / "30").mkdir()
    (stage / "25.orbax-checkpoint-tmp").mkdir()
    (stage / "25.orbax-checkpoint-tmp" / "half").write_text("x")
    trained = toy_run.run(CONFIG, copy)
    assert toy_run.digest(trained) == finished[1]
    lines = [line for line in capsys.readouterr().err.splitlines() if "setting aside" in line]
    assert lines == ["train: checkpoints: setting aside 25.orbax-checkpoint-tmp, 30"]


def test_what_failed_with_a_checkpoint_is_not_printed_later(tmp_path, monkeypatch, caplog):
    """Tasks of a library whose errors nobody fetched report them when they are collected, at any time."""
    checkpoints = Checkpoints(tmp_path / "train")
    logger = logging.getLogger("asyncio")
    monkeypatch.setattr(logger, "filters", [])

    def refuse(*_, **__):
        raise OSError(28, "no space left")

    monkeypatch.setattr(checkpoints, "_open", refuse)
    with pytest.raises(StorageError, match=r"train/1: "):
        checkpoints.save(1, {"x": np.ones(3)}, {})
    logger.error("Task exception was never retrieved\nfuture: ...")
    logger.error("Executing took 1 s")
    assert [record.getMessage() for record in caplog.records] == ["Executing took 1 s"]


def test_without_space_for_a_checkpoint_the_earlier_one_stays(tmp_path):
    folder = toy_run.new_folder(tmp_path, width=4000)
    status, text = run_script(folder.path, "--signal", "15:8")
    assert status == 143, text
    step = Checkpoints(folder.checkpoints / "train").steps()[-1]
    status, text = run_script(folder.path, limit="ulimit -f 100")
    assert status == 6, text
    assert "Traceback" not in text
    assert folder.status["state"] == "failed" and folder.status["exit_code"] == 6
    error = folder.status["error"]
    assert str(folder.checkpoints / "train") in error and "bytes" in error and "\n" not in error
    assert Checkpoints(folder.checkpoints / "train").choose("latest")[0] == step
