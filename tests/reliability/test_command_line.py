"""Bad input at the command line: one sentence, the right exit code, nothing started."""

import json
import os
import re
import sys

import pytest

from jaxrl.cli import api, execution
from jaxrl.cli.main import main
from jaxrl.run import catalogue
from jaxrl.run.config import config_hash
from jaxrl.run.folder import RunFolder
from tests.run import ring

RUN = ("run", "toy/ring", "smoke")
SWEEP = ("sweep", "toy/ring", "smoke")
TWO = ("--processes", "2", "--coordinator", "127.0.0.1:1")
BAD = [
    # (arguments, exit code, what standard error says)
    (("rnu",), 2, "unknown command 'rnu'; nearest: run"),
    (("list", "all"), 2, "list: takes no further arguments, got 'all'"),
    (("run",), 2, "run: expected EXPERIMENT PRESET first"),
    (("run", "--seeds", "3"), 2, "run: expected EXPERIMENT PRESET first"),
    (("run", "toy/rnig", "smoke"), 2, "unknown experiment 'toy/rnig'; nearest: toy/ring"),
    (("run", "ring", "smoke"), 2, "unknown experiment 'ring'; nearest: toy/ring"),
    (("run", "../toy/ring", "smoke"), 2, "unknown experiment '../toy/ring'"),
    (("run", "toy/ring"), 2, "run toy/ring: name a preset: smoke, quick"),
    (("run", "toy/ring", "smoek"), 2, "unknown preset of toy/ring 'smoek'; nearest: smoke"),
    ((*RUN, "--sedes", "3"), 2, "--seeds INT"),
    ((*RUN, "--hyper.lrr", "3"), 2, "--hyper.lr FLOAT"),
    ((*RUN, "--seeds", "three"), 2, "Error parsing --seeds"),
    ((*RUN, "--seeds", "2.5"), 2, "Error parsing --seeds"),
    ((*RUN, "--seeds"), 2, "--seeds"),
    ((*RUN, "extra"), 2, "Unrecognized options: extra"),
    ((*RUN, "--seeds", "0"), 2, "seeds: must be >= 1, got 0"),
    ((*RUN, "--updates", "-5"), 2, "updates: must be >= 1, got -5"),
    ((*RUN, "--devices", "0"), 2, "devices: must be >= 1, got 0"),
    ((*RUN, "--processes", "2"), 2, "processes: several need --coordinator HOST:PORT"),
    ((*RUN, "--coordinator", "here:1"), 2, "processes: several need --coordinator HOST:PORT"),
    ((*RUN, "--processes", "2", "--coordinator", "here"), 2, "coordinator: must be HOST:PORT, got 'here'"),
    ((*RUN, *TWO, "--process", "2"), 2, "process: must lie in [0, 2), got 2"),
    ((*RUN, "--lane", "0"), 2, "lane: must be an integer >= 1 or 'auto', got 0"),
    ((*RUN, "--root"), 2, "--root: needs a value"),
    ((*RUN, "--root", "/"), 2, "root: / holds no folder 'experiments'"),
    ((*RUN, "--config-file", "missing.json"), 2, "missing.json: not readable as JSON"),
    ((*SWEEP,), 2, "sweep: nothing to vary"),
    ((*SWEEP, "--grid", "hyper.lr"), 2, "grid: expected FIELD=VALUE,VALUE,..., got 'hyper.lr'"),
    ((*SWEEP, "--grid", "hyper.lr="), 2, "grid: expected FIELD=VALUE,VALUE,..., got 'hyper.lr='"),
    ((*SWEEP, "--grid", "hyper.lrr=1"), 2, "unknown field 'hyper.lrr'; nearest: hyper.lr"),
    ((*SWEEP, "--grid", "hyper.lr=1,x"), 2, "grid: hyper.lr: must be a float, got 'x'"),
    ((*SWEEP, "--grid", "seeds=1,0"), 2, "seeds: must be >= 1, got 0"),
    ((*SWEEP, "--grid", "algo=1"), 2, "only numbers, texts and truth values are swept"),
    ((*SWEEP, "--grid"), 2, "Missing value for argument '--grid'"),
    (("sweep", "missing.json"), 2, "missing.json: not readable as JSON"),
    (("resume",), 2, "resume: expected RUN first"),
    (("resume", "nowhere"), 2, "not a run folder (no config.json)"),
    (("report",), 2, "report: name a run folder, or ask for --index"),
    (("report", "nowhere", "--page", "a.html"), 2, "report: --page is about the index; add --index"),
    (("report", "nowhere", "--out", "runs"), 2, "report: --out is about the index; add --index"),
    (("report", "--index", "--publish"), 2, "report: --publish takes the folders of the runs"),
    (("report", "nowhere"), 2, "not a run folder (no config.json)"),
    (("figure", "nowhere"), 2, "not a run folder (no config.json)"),
    (("verify", "nowhere"), 2, "not a run folder (no config.json)"),
    (("verify",), 2, "required"),
    (("export", "nowhere"), 2, "not a run folder (no config.json)"),
    (("export", "nowhere", "--to", "pickle"), 2, "invalid choice 'pickle'"),
    (("reproduce", "--all"), 2, "reproduce: expected at most EXPERIMENT and PRESET"),
    (("reproduce", "toy/rnig"), 2, "unknown experiment 'toy/rnig'"),
]


@pytest.mark.parametrize(("args", "code", "words"), BAD, ids=[" ".join(a) for a, _, _ in BAD])
def test_bad_input(args, code, words, root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(root)
    out = tmp_path / "out"
    if args[0] in ("run", "sweep") and len(args) > 2:
        args = (*args[:3], "--out", str(out), *args[3:])
    assert main(list(args)) == code
    text = capsys.readouterr().err
    assert words in re.sub(r"\s+", " ", text)
    assert "Traceback" not in text
    assert not list(out.glob("**/checkpoints"))
    boxes = text.count("For full helptext")  # tyro's message, with the nearest options
    assert boxes + len([line for line in text.splitlines() if line.startswith("jaxrl: ")]) == 1


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[1]",
        '{"hyper": 3}',
        '{"seeds": 2}',
        '{"seeds": "two", "seed": 0, "updates": 6, "grid": {}, "hyper": {"lr": 0.1, "gamma": 0.9},'
        ' "algo": {"width": 0, "poison": null}}',
    ],
)
def test_bad_configuration_files(root, tmp_path, content, capsys):
    file = tmp_path / "config.json"
    file.write_text(content)
    assert main(["run", "toy/ring", "--config-file", str(file), "--root", str(root)]) == 2
    assert capsys.readouterr().err.count("jaxrl: ") == 1


def test_unknown_field_in_a_configuration_file_names_the_nearest(root, tmp_path, capsys):
    config = json.loads(json.dumps(api.RunFolder.open(_run(root, tmp_path)).config))
    config["hyper"]["leraning_rate"] = config["hyper"].pop("lr")
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    assert main(["run", "toy/ring", "--config-file", str(file), "--root", str(root)]) == 2
    assert "config.hyper.leraning_rate: no such field" in capsys.readouterr().err


def _run(root, tmp_path):
    """A run folder in which nothing has run."""
    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    return RunFolder.create("toy/ring", config, tmp_path / "runs", "smoke").path


# ------------------------------------------------------------------------------------- changed config


def test_resume_refuses_changed_options_and_lists_them(finished, capsys):
    assert main(["resume", str(finished.path), "--hyper.lr", "0.7", "--seeds", "5"]) == 2
    text = capsys.readouterr().err
    assert "asked to change hyper.lr: 0.1 -> 0.7; seeds: 2 -> 5" in text
    assert "jaxrl run toy/ring smoke" in text


def test_resume_refuses_an_edited_config_file_and_lists_the_edit(finished, capsys):
    path = finished.path / "config.json"
    before = path.read_text()
    record = json.loads(before)
    record["config"]["hyper"]["gamma"] = 0.123
    path.write_text(json.dumps(record))
    try:
        assert main(["resume", str(finished.path)]) == 2
        assert "changed since the run began (hyper.gamma: 0.9 -> 0.123)" in capsys.readouterr().err
    finally:
        path.write_text(before)


def test_resume_without_checkpoints_still_sees_the_edit(root, tmp_path, capsys):
    path = _run(root, tmp_path) / "config.json"
    path.write_text(path.read_text().replace('"updates": 6', '"updates": 8'))
    assert main(["resume", str(path.parent), "--root", str(root)]) == 2
    assert "changed since the run began (hash " in capsys.readouterr().err


def test_a_run_that_was_moved_resumes(root, tmp_path):
    moved = _run(root, tmp_path).rename(tmp_path / "elsewhere")
    assert main(["resume", str(moved), "--root", str(root)]) == 0
    assert RunFolder.open(moved).status["state"] == "done"


# ------------------------------------------------------------------------------------- folders


def test_output_that_is_a_file(root, tmp_path, capsys):
    (tmp_path / "out").write_text("precious")
    assert main([*RUN, "--root", str(root), "--out", str(tmp_path / "out")]) == 6
    assert "cannot create the run folder" in capsys.readouterr().err
    assert (tmp_path / "out").read_text() == "precious"


def test_output_that_cannot_be_written(root, capsys):
    assert main([*RUN, "--root", str(root), "--out", "/proc/out"]) == 6
    assert "choose another --out" in capsys.readouterr().err


def test_output_with_a_finished_run_gets_another_one_beside_it(root, finished, tmp_path):
    before = {p: p.read_bytes() for p in finished.path.rglob("*") if p.is_file()}
    again = api.run("toy/ring", "smoke", root=root)
    assert again.path != finished.path
    assert again.path.parent == finished.path.parent
    assert {p: p.read_bytes() for p in finished.path.rglob("*") if p.is_file()} == before


def test_a_run_that_someone_owns_is_refused_and_untouched(finished, capsys):
    before = {p: p.read_bytes() for p in finished.path.rglob("*") if p.is_file() and p.name != "run.lock"}
    with RunFolder.open(finished.path).lock():
        assert main(["resume", str(finished.path)]) == 2
    assert f"in use by pid {os.getpid()} on " in capsys.readouterr().err
    assert {
        p: p.read_bytes() for p in finished.path.rglob("*") if p.is_file() and p.name != "run.lock"
    } == before


def test_the_lock_of_a_dead_process_is_taken_over_with_a_warning(root, tmp_path, capsys):
    import socket

    path = _run(root, tmp_path)
    (path / "run.lock").write_text(f"pid 999999999 on {socket.gethostname()}\n")
    assert main(["resume", str(path), "--root", str(root)]) == 0
    assert "warning: taking over the lock of pid 999999999" in capsys.readouterr().err


# ----------------------------------------------------------------------------------


def test_missing_extras_say_what_to_install(root, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert main([*SWEEP, "--grid", "hyper.lr=1,2", "--slurm", "--root", str(root)]) == 3
    assert "pip install 'jaxrl[slurm]'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export", str(finished.path), "--to", "parquet", "--dest", str(tmp_path)]) == 3
    assert "pip install pyarrow" in capsys.readouterr().err


def test_a_configuration_survives_its_file_in_any_order(root, finished, tmp_path):
    values = json.loads((finished.path / "config.json").read_text())["config"]
    shuffled = {k: values[k] for k in reversed(list(values))}
    assert config_hash(shuffled) == config_hash(values)
    _, config = execution.reopen(finished)
    assert config_hash(config) == config_hash(values)
    assert finished.path.parent.name == f"smoke-{config_hash(values)[:8]}"


def test_json_is_one_document_whatever_is_printed(tmp_path):
    root = ring.make_root(tmp_path)
    done = ring.jaxrl(*RUN, "--updates", "2", "--json", cwd=root)
    document = json.loads(done.stdout)
    assert (done.returncode, document["state"]) == (0, "done")
    assert "printed while importing" in done.stderr
    assert "written by a C library" in done.stderr


@pytest.mark.parametrize(("args", "code"), [(("run", "toy/rnig", "smoke"), 2), ((*RUN, "--sedes", "1"), 2)])
def test_json_of_a_refusal_is_one_document_too(root, args, code, capfd):
    assert main([*args, "--root", str(root), "--json"]) == code
    document = json.loads(capfd.readouterr().out)
    assert document["exit_code"] == code
    assert document["error"]
