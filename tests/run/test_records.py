"""Records of a run that are damaged or of another shape: one sentence that names file and field."""

import json
import shutil

import pytest

from jaxrl.cli.main import main
from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.run import records
from jaxrl.run.checkpoint import MANIFEST, Checkpoints
from jaxrl.run.config import config_from_dict
from jaxrl.run.folder import RunFolder
from tests.run.test_grid import Config

DEEP = "[" * 200_000
WRONG = ["", "{", "[]", "5", "null", '"text"', "{}", DEEP, '{"a": NaN}', "\x00\xff"]


@pytest.fixture
def copy(finished, root):
    """A copy of the finished run below the root, which a test may damage."""
    path = root / "runs" / "copy"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(finished.path, path)
    yield RunFolder.open(path)
    shutil.rmtree(path)


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize("name", ["config.json", "meta.json", "status.json"])
@pytest.mark.parametrize("content", WRONG, ids=lambda text: text[:8].encode().hex())
def test_another_shape_is_named(finished, tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="latin-1")
    read = {
        "config.json": records.read_config,
        "meta.json": records.read_meta,
        "status.json": records.read_status,
    }
    with pytest.raises(CorruptInput, match=name.replace(".", r"\.")) as error:
        read[name](path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300
    read[name](finished.path / name)


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("config.json", {"schema": "1"}, 'config.json: schema: must be an integer, got "1"'),
        ("config.json", {"config": [1]}, r"config.json: config: must be an object, got \[1\]"),
        ("config.json", {"config": {"hyper": 3}}, r"config.json: config\.algo: missing"),
        ("config.json", {"experiment": 5}, "config.json: experiment: must be text, got 5"),
        ("meta.json", {"versions": []}, r"meta.json: versions: must be an object, got \[\]"),
        ("meta.json", {"versions": {"jax": 1}}, "meta.json: versions.jax: must be text, got 1"),
        ("meta.json", {"lane": "wide"}, 'meta.json: lane: must be an object, got "wide"'),
        ("meta.json", {"lane_asked": -1}, "meta.json: lane_asked: lane: must be an integer >= 1"),
        ("status.json", {"state": "finished"}, "status.json: state: must be one of created, running"),
        ("status.json", {"update": -1}, "status.json: update: must be >= 0, got -1"),
        ("status.json", {"update": True}, "status.json: update: must be an integer, got true"),
        ("status.json", {"error": {}}, r"status.json: error: must be text or null, got \{\}"),
    ],
)
def test_another_type_is_named_by_every_command(copy, capfd, name, fields, sentence):
    change(copy.path / name, **fields)
    assert main(["resume", str(copy.path)]) == 5
    said = capfd.readouterr().err
    with pytest.raises(CorruptInput, match=sentence):
        raise CorruptInput(said)
    assert "Traceback" not in said


@pytest.mark.parametrize("line", ["[]", "5", "{}", DEEP, '{"stage": 1, "update": 1}', "{", '{"a": NaN}'])
def test_lines_of_another_shape_are_named(tmp_path, line):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"stage": "train", "update": 1, "a": [1.0, null]}\n' + line + "\n")
    with pytest.raises(CorruptInput, match=r"metrics\.jsonl: line 2"):
        records.read_lines(path)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ({"a": "high"}, 'line 2: a: must be numbers, null or lists of them, got "high"'),
        ({"a": [[1.0], [1.0, 2.0]]}, "line 2: a: its lists have different lengths"),
        ({"a": [1.0]}, r"line 2: a: has shape \(1,\)"),
        ({"update": 1.5}, "line 2: update: must be an integer, got 1.5"),
        ({"wall_s": "now"}, 'line 2: wall_s: must be a number, got "now"'),
        ({"nonfinite": 1}, "line 2: nonfinite: must be a list, got 1"),
    ],
)
def test_values_of_another_shape_are_named(tmp_path, line, sentence):
    path = tmp_path / "metrics.jsonl"
    first = {"stage": "train", "update": 1, "a": [1.0, None]}
    path.write_text(json.dumps(first) + "\n" + json.dumps(first | line) + "\n")
    with pytest.raises(CorruptInput, match=sentence):
        records.read_lines(path)


@pytest.mark.parametrize("content", WRONG, ids=lambda text: text[:8].encode().hex())
def test_manifests_of_another_shape_are_no_checkpoints(copy, content):
    stage = copy.checkpoints / "train"
    last = Checkpoints(stage).steps()[-1]
    (stage / str(last) / MANIFEST).write_text(content, encoding="latin-1")
    with pytest.raises(CorruptInput, match=f"checkpoint {last}: MANIFEST.json") as error:
        Checkpoints(stage).choose("latest")
    assert "\n" not in str(error.value)
    assert Checkpoints(stage, say=lambda text: None).choose("latest-good")[0] < last


@pytest.mark.parametrize(
    "fields",
    [
        {"files": {"../../config.json": {"bytes": 1, "sha256": "a"}}},
        {"files": {"a": 5}},
        {"files": {"a": {"bytes": "1", "sha256": "a"}}},
        {"tree": [["a", [1]]]},
        {"tree": [["a", [-1], "float32"]]},
        {"versions": {"jax": None}},
    ],
)
def test_fields_of_manifests_are_checked(tmp_path, fields):
    record = {"format": 2, "step": 1, "versions": {}, "tree": [], "files": {}, "meta": {}, "sha256": ""}
    path = tmp_path / MANIFEST
    path.write_text(json.dumps(record | fields))
    with pytest.raises(CorruptInput, match=r"MANIFEST\.json: (files|tree|versions)"):
        records.read_manifest(path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (DEEP, "nested too deeply"),
        ("[]", r"must hold an object, got \[\]"),
        ('{"experiment": 5, "preset": "smoke", "grid": {}}', "experiment: must be text, got 5"),
        ('{"experiment": "toy/ring", "preset": "smoke"}', "grid: missing"),
        (
            '{"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": 1}}',
            "grid.hyper.lr: must be a",
        ),
        ('{"experiment": "toy/ring", "preset": "smoke", "grid": {}, "hyper.gamma": "high"}', "hyper.gamma"),
        ('{"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": [1, 1]}}', "1.0 is given twice"),
    ],
)
def test_sweep_files_of_another_shape_are_usage_errors_and_leave_no_folder(
    root, tmp_path, capfd, content, sentence
):
    file = tmp_path / "sweep.json"
    file.write_text(content)
    before = sorted((root / "runs").glob("**/config.json"))
    assert main(["sweep", str(file), "--root", str(root)]) == 2
    said = capfd.readouterr().err
    with pytest.raises(UsageError, match=sentence):
        raise UsageError(said)
    assert "Traceback" not in said and sorted((root / "runs").glob("**/config.json")) == before


def test_a_configuration_of_many_brackets_is_refused():
    nested = 1.0
    for _ in range(5000):
        nested = [nested]
    values = {"algo": {"width": 0, "poison": None}, "hyper": {"lr": 0.1, "gamma": 0.9}, "updates": 1}
    with pytest.raises(UsageError, match="config"):
        config_from_dict(Config, values | {"grid": {"hyper.lr": nested}})


def test_a_name_that_is_given_twice_is_refused_in_every_file_of_json(finished, tmp_path, capfd):
    """Python keeps the last value, so that a line left behind by an editor would decide in silence."""
    stored = json.loads((finished.path / "config.json").read_text())["config"]
    text = json.dumps(stored)
    twice = tmp_path / "config.json"
    twice.write_text(text[:-1] + ', "updates": 3}')
    assert (
        main(["run", "toy/ring", "--config-file", str(twice), "--root", str(finished.path.parents[4])]) == 2
    )
    assert "'updates' is given twice" in capfd.readouterr().err
    path = tmp_path / "run"
    shutil.copytree(finished.path, path)
    (path / "status.json").write_text('{"state": "done", "state": "failed"}')
    with pytest.raises(CorruptInput, match="'state' is given twice"):
        _ = RunFolder.open(path).status
