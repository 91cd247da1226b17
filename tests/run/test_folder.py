"""The run folder and configurations as JSON."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, NumericalFailure, Preempted, StorageError, UsageError
from jaxrl.core.types import struct
from jaxrl.rollout.unroll import Pool, Resample
from jaxrl.run.folder import RunFolder, atomic_write, config_from_dict, config_hash, config_to_dict


@struct.dataclass
class Hyper:
    lr: float = 1e-3
    clip: float | None = None


@dataclass(frozen=True)
class Config:
    hyper: Hyper = field(default_factory=Hyper)
    widths: tuple[int, ...] = (64, 64)
    pair: tuple[int, float] = (1, 2.0)
    reset: Pool | Resample = field(default_factory=Resample)
    grid: dict[str, tuple[float, ...]] = field(default_factory=dict)
    seeds: int = 8


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create("family/name", Config(), tmp_path, "smoke")


def test_config_round_trip_and_hash():
    config = Config(Hyper(lr=3e-4, clip=1.0), (8,), (3, 4.0), Pool(5), {"hyper.lr": (1e-3, 1e-4)})
    values = json.loads(json.dumps(config_to_dict(config)))
    assert values["reset"] == {"type": "Pool", "size": 5}
    assert config_from_dict(Config, values) == config
    assert config_hash(values) == config_hash(config) == config_hash(dict(reversed(values.items())))
    assert config_hash(replace(config, seeds=9)) != config_hash(config)
    assert config_hash(Config(Hyper(lr=1))) == config_hash(Config(Hyper(lr=1.0)))
    assert config_hash(Config(Hyper(lr=np.float64(0.25)))) == config_hash(Config(Hyper(lr=0.25)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"reset": {"type": "Pol", "size": 1}},
            r"config\.reset\.type: 'Pol' is unknown; did you mean 'Pool'",
        ),
        ({"pair": [1]}, r"config\.pair: expects 2 values, got 1"),
        ({"hyper": {"lr": 1.0}}, r"config\.hyper\.clip: missing"),
        ({"hyper": {"lr": "fast", "clip": None}}, r"config\.hyper\.lr: expects float, got 'fast'"),
    ],
)
def test_stored_configs_that_do_not_fit(change, sentence):
    with pytest.raises(UsageError, match=sentence):
        config_from_dict(Config, config_to_dict(Config()) | change)


def test_create_and_open(folder, tmp_path):
    assert folder.path.parent.name == f"smoke-{config_hash(Config())[:8]}"
    assert folder.path.parent.parent == tmp_path / "family" / "name"
    again = RunFolder.open(folder.path)
    assert config_from_dict(Config, again.config) == Config()
    assert (again.experiment, again.preset) == ("family/name", "smoke")
    assert {
        "command",
        "git_commit",
        "git_dirty",
        "versions",
        "python",
        "cores",
        "xla_flags",
    } <= again.meta.keys()
    assert again.status["state"] == "created"
    assert again.figures.is_dir()


def test_metrics_never_hold_nan_tokens(folder):
    folder.log(
        {"stage": "train", "update": 1, "a": np.float32([1.0, np.nan]), "b": [[np.inf], [2.0]], "c": None}
    )
    text = (folder.path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=lambda token: pytest.fail(token)) == {
        "stage": "train",
        "update": 1,
        "a": [1.0, None],
        "b": [[None], [2.0]],
        "c": None,
        "nonfinite": ["a", "b"],
    }


def test_rewinding_touches_one_stage_and_repairs_the_end(folder):
    for stage, update in [("explore", 1), ("explore", 2), ("plan", 1), ("plan", 2), ("plan", 3)]:
        folder.log({"stage": stage, "update": update})
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write('{"stage": "pl')
    assert len(folder.read_metrics()) == 5
    assert [r["update"] for r in folder.rewind_metrics("plan", 1)] == [1]
    folder.log({"stage": "plan", "update": 2})
    found = [(r["stage"], r["update"]) for r in folder.read_metrics()]
    assert found == [("explore", 1), ("explore", 2), ("plan", 1), ("plan", 2)]


def test_damaged_records_are_named(folder):
    (folder.path / "metrics.jsonl").write_text('{"stage": "a", "update": 1}\nnot json\n')
    with pytest.raises(CorruptInput, match=r"metrics\.jsonl: line 2: not readable .* delete that line"):
        folder.read_metrics()
    folder.save_result(curve=np.arange(100.0))
    path = folder.path / "result.npz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptInput, match=r"result\.npz: damaged"):
        folder.load_result()
    (folder.path / "config.json").write_text("{")
    with pytest.raises(CorruptInput, match=r"config\.json: not readable as JSON"):
        RunFolder.open(folder.path)


def test_result_round_trip_without_pickle(folder):
    with pytest.raises(UsageError, match=r"result\.npz: the run has not finished"):
        folder.load_result()
    folder.save_result(curve=np.float32([[1, 2]]), names=np.asarray(["a", "b"]))
    found = folder.load_result()
    assert found["curve"].dtype == np.float32 and found["names"].tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="pickle"):
        folder.save_result(bad=np.asarray([object()]))


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (None, "done", 0),
        (UsageError("x"), "failed", 2),
        (RuntimeError("x"), "failed", 1),
        (Preempted("x", 15), "preempted", 143),
        (KeyboardInterrupt(), "preempted", 130),
    ],
)
def test_sessions_end_with_a_true_status(folder, error, state, code):
    try:
        with folder.session(), folder.session():
            assert folder.status["state"] == "running"
            if error is not None:
                raise error
    except BaseException as found:
        assert found is error
    assert (folder.status["state"], folder.status["exit_code"]) == (state, code)
    with RunFolder.open(folder.path).lock():  # released
        pass


def test_a_session_reports_divergence_after_everything_was_saved(folder):
    with pytest.raises(NumericalFailure, match="seed 3"), folder.session():
        folder.failures.append("NonFinite: seed 3")
        folder.save_result(x=1)
    assert folder.status["exit_code"] == 4 and folder.load_result()["x"] == 1


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    atomic_write(path, "old")

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match=r"file: cannot write 3 bytes \(No space left on device\)"):
        atomic_write(path, "new")
    assert path.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_one_of_several_processes_writes_nothing(folder):
    before = {p: p.read_bytes() for p in folder.path.iterdir()}
    folder.writes = False
    with folder.session():
        folder.log({"stage": "train", "update": 1})
        folder.save_result(x=1)
        folder.update_meta(x=1)
    assert {p: p.read_bytes() for p in folder.path.iterdir()} == before
