"""The command line and its Python API on one tiny experiment."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

from jaxrl.cli import api, doctor, plan
from jaxrl.cli.main import VERBS, experiment_main, main
from jaxrl.core.errors import JaxrlError, UsageError
from jaxrl.run import catalogue
from jaxrl.run.config import config_hash, config_to_dict, differences
from jaxrl.run.folder import RunFolder
from tests.run import ring


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return ring.make_root(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def finished(root):
    """One finished run; tests only read it."""
    return api.run("toy/ring", "smoke", root=root)


def document(capfd, *args):
    """Exit code, and the one JSON document on standard output."""
    capfd.readouterr()
    code = main([*args, "--json"])
    return code, json.loads(capfd.readouterr().out)


# ------------------------------------------------------------------------------------------- without jax


def test_help_list_and_unknown_names_do_not_import_jax(root):
    """R16, acceptance 4: what answers fast must not load anything heavy."""
    code = (
        "import sys; from jaxrl.cli.main import main\n"
        "codes = [main(a.split()) for a in sys.argv[1:]]\n"
        "heavy = {'jax', 'flax', 'orbax', 'matplotlib', 'brax', 'scipy'} & set(sys.modules)\n"
        "print(codes, sorted(heavy))"
    )
    asked = ["--help", "list", "run toy/rign smoke", "run toy/ring smok", "frobnicate", "run --help"]
    done = subprocess.run(
        [sys.executable, "-c", code, *asked], cwd=root, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[0, 0, 2, 2, 2, 0] []"
    assert "toy/ring  smoke quick         Q-learning on a noisy ring." in done.stdout
    assert "unknown experiment 'toy/rign'; nearest: toy/ring" in done.stderr
    assert "unknown preset of toy/ring 'smok'; nearest: smoke" in done.stderr


def test_overview_names_every_verb(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(f"  {verb} " in text for verb in VERBS)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["run", "--help"], "--dry-run"),
        (["sweep", "-h"], "FILE.json"),
        (["resume", "--help"], "--from"),
        (["report", "--help"], "--index"),
        (["export", "--help"], "{csv,parquet,policy}"),
        (["list", "--help"], "Experiments with their presets."),
        (["run", "toy/ring", "--help"], "run toy/ring smoke|quick"),
        (["run", "toy/ring", "quick", "--help"], "Number of seeds. (default: 3)"),
    ],
)
def test_help_names_the_options(root, args, words, capsys):
    assert main([*args, "--root", str(root)]) == 0
    assert words in capsys.readouterr().out


def test_a_reader_that_left_is_no_error(root):
    code = "import sys; from jaxrl.cli.main import main; sys.exit(main(['list']))"
    program = subprocess.Popen(
        [sys.executable, "-c", f"import time; time.sleep(0.2); {code}"],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    program.stdout.close()
    assert program.wait(timeout=60) == 0
    assert program.stderr.read() == b""
    program.stderr.close()


def test_an_experiment_is_a_module_too(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    monkeypatch.setattr(sys, "argv", ["ring.py", "smoke", "--dry-run"])
    assert experiment_main("experiments.toy.ring") == 0
    assert '"experiment": "toy/ring"' in capsys.readouterr().out


def test_catalogue_reads_names_titles_and_presets_without_importing(tmp_path):
    base = tmp_path / "experiments"
    (base / "fam" / "big").mkdir(parents=True)
    (base / "fam" / "one.py").write_text(
        '"""One.\n\nMore."""\nimport nothing_of_that_name\nPRESETS = {"a": 1}\n'
    )
    (base / "fam" / "big" / "__init__.py").write_text('"""Big."""\nPRESETS: dict = {"b": 1, "c": 2}\n')
    (base / "fam" / "helper.py").write_text("x = 1\n")
    (base / "fam" / "wrong.py").write_text("def f(:\n")
    found = {e.name: (e.title, e.presets) for e in catalogue.find(tmp_path)}
    assert found["fam/one"] == ("One.", ("a",))
    assert found["fam/big"] == ("Big.", ("b", "c"))
    assert found["fam/wrong"][0].startswith("cannot be read: line 1")
    assert set(found) == {"fam/one", "fam/big", "fam/wrong"}


def test_an_experiment_of_another_root_is_not_confused(root, tmp_path):
    other = ring.make_root(tmp_path)
    file = other / "experiments" / "toy" / "ring.py"
    file.write_text(file.read_text().replace("updates: int = 6", "updates: int = 7"))
    assert catalogue.load(root, "toy/ring").PRESETS["smoke"].updates == 6
    assert catalogue.load(other, "toy/ring").PRESETS["smoke"].updates == 7
    assert catalogue.load(root, "toy/ring").PRESETS["smoke"].updates == 6


def test_an_experiment_without_its_functions_is_refused(tmp_path):
    folder = tmp_path / "experiments" / "fam"
    folder.mkdir(parents=True)
    (folder / "bare.py").write_text("PRESETS = {}\n")
    with pytest.raises(UsageError, match="defines Config, run, figure as well"):
        catalogue.load(tmp_path, "fam/bare")


# ------------------------------------------------------------------------------------- configurations


def test_dry_run_prints_configuration_and_cost(root, capfd):
    code, found = document(
        capfd, "run", "toy/ring", "quick", "--dry-run", "--hyper.gamma", "0.5", "--root", str(root)
    )
    assert code == 0
    assert found["config"]["hyper"]["gamma"] == 0.5
    assert found["estimate"] == {
        "members": 6,  # two learning rates, three seeds
        "updates": 12,
        "compilations": 1,
        "env_steps": None,
        "memory_mb": None,
    }
    assert not (root / "runs" / "toy" / "ring" / f"quick-{found['config_hash'][:8]}").exists()


def test_estimate_counts_compile_buckets_and_asks_the_experiment():
    config = types.SimpleNamespace(grid={"hyper.lr": (1, 2, 3), "algo.n": (4, 8)}, seeds=5, updates=7)
    module = types.SimpleNamespace(estimate=lambda config: {"env_steps": 70})
    found = plan.estimate(module, config)
    assert (found["members"], found["compilations"], found["env_steps"]) == (30, 2, 70)


def test_print_config_feeds_config_file(root, tmp_path, capfd):
    """R18: equal hashes, whatever the order of the fields."""
    options = ("--hyper.lr", "0.3", "--algo.width", "4", "--root", str(root))
    _, printed = document(capfd, "run", "toy/ring", "smoke", "--print-config", *options)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(dict(reversed(printed.items()))))
    _, direct = document(capfd, "run", "toy/ring", "smoke", "--dry-run", *options)
    _, read = document(capfd, "run", "toy/ring", "--config-file", str(file), "--dry-run", "--root", str(root))
    assert read["config_hash"] == direct["config_hash"]
    _, changed = document(
        capfd, "run", "toy/ring", f"--config-file={file}", "--dry-run", "--seed", "9", "--root", str(root)
    )
    assert changed["config_hash"] != direct["config_hash"]
    assert changed["config"] == {**direct["config"], "seed": 9}


def test_override_replaces_nested_fields_and_names_the_nearest(root):
    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    changed = api.override(config, {"hyper.lr": 0.5, "seeds": 7})
    assert (changed.hyper.lr, changed.seeds, changed.hyper.gamma) == (0.5, 7, 0.9)
    assert (config.hyper.lr, config.seeds) == (0.1, 2)
    with pytest.raises(UsageError, match=r"unknown field 'hyper.lrr'; nearest: hyper.lr"):
        api.override(config, {"hyper.lrr": 1.0})
    with pytest.raises(UsageError, match="seeds: must be >= 1, got 0"):
        api.override(config, {"seeds": 0})


def test_differences_lists_dotted_paths():
    old = {"a": 1, "b": {"c": 2, "d": 3}, "e": 4}
    new = {"a": 1, "b": {"c": 5, "d": 3}, "f": 6}
    assert differences(old, new) == ["b.c: 2 -> 5", 'e: 4 -> "(absent)"', 'f: "(absent)" -> 6']


# ---------------------------------------------------------------------------------------------- running


def test_command_line_and_api_give_the_same_run(root, finished, capfd):
    """The same bits in the same place, with figures and a page."""
    code, found = document(capfd, "run", "toy/ring", "smoke", "--root", str(root))
    again = RunFolder.open(found["run"])
    assert (code, found["state"], found["exit_code"]) == (0, "done", 0)
    assert again.path.parent == finished.path.parent
    assert again.path.parent.name == f"smoke-{config_hash(finished.config)[:8]}"
    for name, value in finished.load_result().items():
        np.testing.assert_array_equal(again.load_result()[name], value)
    assert {p.suffix for p in again.figures.iterdir()} == {".png", ".pdf", ".svg"}
    assert (
        [again.path / "report.html"] == list(again.path.glob("*.html")) == [type(again.path)(found["report"])]
    )


def test_figures_are_drawn_again_with_the_same_bytes(root, finished):
    before = {p.name: p.read_bytes() for p in finished.figures.iterdir()}
    for path in finished.figures.iterdir():
        path.unlink()
    assert main(["figure", str(finished.path), "--root", str(root)]) == 0
    assert {p.name: p.read_bytes() for p in finished.figures.iterdir()} == before


def test_resume_of_a_finished_run_changes_nothing(root, finished):
    result, metrics = finished.load_result(), finished.read_metrics()
    folder = api.resume(finished.path)  # the root is found above the run itself
    assert folder.read_metrics() == metrics
    np.testing.assert_array_equal(folder.load_result()["value"], result["value"])


def test_an_unexpected_error_is_one_line_and_a_traceback_in_the_log(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TOY_BREAKS", "1")
    assert main(["run", "toy/ring", "smoke", "--root", str(root), "--out", str(tmp_path)]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    (run,) = (p.parent for p in tmp_path.glob("**/config.json"))
    assert last == (
        f"jaxrl: RuntimeError: the experiment broke in two lines; the traceback is in {run / 'log.txt'}"
    )
    assert "Traceback (most recent call last)" in (run / "log.txt").read_text()
    status = RunFolder.open(run).status
    assert (status["state"], status["exit_code"]) == ("failed", 1)
    assert (run / "report.html").exists()
    monkeypatch.delenv("TOY_BREAKS")
    assert main(["resume", str(run), "--root", str(root)]) == 0
    assert RunFolder.open(run).status["state"] == "done"


def test_a_diverged_member_ends_with_4_after_everything_was_saved(root, tmp_path, capsys):
    options = ["--hyper.lr", "1e38", "--root", str(root), "--out", str(tmp_path)]
    assert main(["run", "toy/ring", "smoke", *options]) == 4
    (run,) = (p.parent for p in tmp_path.glob("**/config.json"))
    assert "NonFinite: run toy/ring, seed 0" in capsys.readouterr().err
    page = (run / "report.html").read_text()
    assert "NonFinite" in page
    assert RunFolder.open(run).load_result()["value"].shape[:2] == (1, 2)


def test_live_report_reloads_itself_while_the_run_goes_on(root, monkeypatch):
    monkeypatch.setattr(api, "LIVE_S", 0.05)
    seen = threading.Event()

    def run(config, folder):
        folder.log({"stage": "train", "update": 1, "return": [1.0, 2.0]})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not seen.is_set():
            page = folder.path / "report.html"
            if page.exists() and "<img" in page.read_text() and "http-equiv='refresh'" in page.read_text():
                seen.set()
            time.sleep(0.02)

    module = types.SimpleNamespace(__doc__="Slow.", run=run)
    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    folder = RunFolder.create("toy/ring", config, root / "live", "smoke")
    api.execute(module, config, folder, live=True)
    assert seen.is_set()
    assert "refresh" not in (folder.path / "report.html").read_text()


# ----------------------------------------------------------------------------------------------- sweeps


def test_sweep_is_a_run_with_a_grid(root, capfd):
    code, found = document(
        capfd,
        "sweep",
        "toy/ring",
        "smoke",
        "--grid",
        "hyper.lr=0.05,0.2",
        "--updates",
        "2",
        "--root",
        str(root),
    )
    folder = RunFolder.open(found["run"])
    assert code == 0
    assert folder.config["grid"] == {"hyper.lr": [0.05, 0.2]}
    assert folder.load_result()["value"].shape == (2, 2, 2)


def test_sweep_prints_one_command_per_point_with_the_same_numbers(root, capfd):
    args = ["sweep", "toy/ring", "smoke", "--updates", "2", "--root", str(root)]
    code, found = document(capfd, *args, "--grid", "hyper.lr=0.1,0.3", "--grid", "hyper.gamma=0.5", "--print")
    assert code == 0
    common = f"jaxrl sweep toy/ring smoke --updates 2 --root {root}"
    assert found["commands"] == [
        f"{common} --grid hyper.lr=0.1 --grid hyper.gamma=0.5",
        f"{common} --grid hyper.lr=0.3 --grid hyper.gamma=0.5",
    ]
    _, whole = document(capfd, *args, "--grid", "hyper.lr=0.1,0.3", "--grid", "hyper.gamma=0.5")
    _, alone = document(capfd, *found["commands"][1].split()[1:])
    together = RunFolder.open(whole["run"]).load_result()["value"]
    np.testing.assert_array_equal(RunFolder.open(alone["run"]).load_result()["value"][0], together[1])


def test_sweep_file_says_the_same(root, tmp_path, capfd):
    file = tmp_path / "sweep.json"
    content = {"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": [0.1, 0.3]}, "seeds": 3}
    file.write_text(json.dumps(content))
    _, read = document(capfd, "sweep", str(file), "--dry-run", "--root", str(root))
    args = (
        "toy/ring",
        "smoke",
        "--seeds",
        "3",
        "--grid",
        "hyper.lr=0.1,0.3",
        "--dry-run",
        "--root",
        str(root),
    )
    _, typed = document(capfd, "sweep", *args)
    assert read == typed
    assert read["estimate"]["members"] == 6


def test_a_sweep_file_may_set_records_and_truth_values_and_is_named_in_its_commands(root, tmp_path, capfd):
    file = tmp_path / "sweep.json"
    content = {"experiment": "toy/ring", "preset": "smoke", "grid": {"hyper.lr": [0.1, 0.3]}}
    file.write_text(json.dumps({**content, "algo.poison": [9, 0], "hyper.gamma": 0.5}))
    args = ["sweep", str(file), "--seeds", "3", "--root", str(root)]
    code, read = document(capfd, *args, "--dry-run")
    assert code == 0
    assert (read["config"]["algo"]["poison"], read["config"]["hyper"]["gamma"]) == ([9, 0], 0.5)
    assert read["config"]["seeds"] == 3
    _, found = document(capfd, *args, "--print")
    common = f"jaxrl sweep {file} --seeds 3 --root {root} --grid hyper.lr="
    assert found["commands"] == [f"{common}0.1", f"{common}0.3"]
    file.write_text(json.dumps({**content, "algo.poisn": [9, 0]}))
    assert document(capfd, *args, "--dry-run") == (
        2,
        {"error": "unknown field 'algo.poisn'; nearest: algo.poison, algo.width, algo", "exit_code": 2},
    )


def test_grid_values_have_the_type_of_their_field():
    @dataclasses.dataclass(frozen=True)
    class Config:
        n: int = 1
        x: float = 1.0
        name: str = "a"
        on: bool = False

    grid = plan.parse_grid(Config(), ["n=2,3", "x=2,1e-3", "name=b", "on=true,False"])
    assert grid == {"n": (2, 3), "x": (2.0, 1e-3), "name": ("b",), "on": (True, False)}
    assert [type(v) for v in grid["x"]] == [float, float]


def test_slurm_submits_the_printed_commands(root, capfd, monkeypatch):
    submitted = []

    class Executor:
        def __init__(self, folder):
            assert folder == root / "runs" / "slurm"

        def batch(self):
            return threading.Lock()  # any context manager

        def submit(self, command):
            submitted.append(command)
            return types.SimpleNamespace(job_id=str(len(submitted)))

    fake = types.SimpleNamespace(
        AutoExecutor=Executor, helpers=types.SimpleNamespace(CommandFunction=lambda command: command)
    )
    monkeypatch.setitem(sys.modules, "submitit", fake)
    args = ("sweep", "toy/ring", "smoke", "--grid", "hyper.lr=0.1,0.3", "--root", str(root))
    code, found = document(capfd, *args, "--slurm")
    assert (code, found["jobs"]) == (0, ["1", "2"])
    assert submitted[1] == [
        "jaxrl",
        "sweep",
        "toy/ring",
        "smoke",
        "--root",
        str(root),
        "--grid",
        "hyper.lr=0.3",
    ]


# ------------------------------------------------------------------------------------------ other verbs


def test_theory_runs_the_report_of_the_root(tmp_path, monkeypatch, capsys):
    (tmp_path / "experiments").mkdir()
    assert main(["theory", "--root", str(tmp_path)]) == 2
    (tmp_path / "theory").mkdir()
    (tmp_path / "theory" / "__init__.py").write_text("")
    (tmp_path / "theory" / "report.py").write_text("def main(args):\n    return 1 if args else 0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in [m for m in sys.modules if m == "theory" or m.startswith("theory.")]:
        monkeypatch.delitem(sys.modules, name)
    assert main(["theory", "--root", str(tmp_path)]) == 0
    assert main(["theory", "broken", "--root", str(tmp_path)]) == 1
    assert "theory/REPORT.md says which" in capsys.readouterr().err
    for name in ("theory", "theory.report"):
        sys.modules.pop(name, None)


def test_reproduce_publishes_what_it_ran(tmp_path, capfd):
    root = ring.make_root(tmp_path)
    code, found = document(capfd, "reproduce", "toy/ring", "smoke", "--root", str(root))
    assert code == 0
    assert found["files"][1:] == [
        str(root / "experiments" / "toy" / "results" / "ring-smoke.npz"),
        str(root / "experiments" / "toy" / "README.md"),
    ]


def test_reproduce_goes_on_after_a_diverged_run_and_says_so_at_the_end(tmp_path, capfd):
    folder = ring.make_root(tmp_path) / "experiments" / "toy"
    broken = ring.SOURCE.replace('grid={"hyper.lr": (0.1, 0.2)}', 'grid={"hyper.lr": (1e38, 0.2)}')
    (folder / "a_ring.py").write_text(broken)
    code, found = document(capfd, "reproduce", "--root", str(tmp_path))
    assert (code, found["error"].count("NonFinite: run toy/a_ring, ")) == (4, 3), found
    results = sorted(path.name for path in (folder / "results").iterdir())
    assert results == ["a_ring-quick.npz", "ring-quick.npz"]


def test_doctor_says_what_a_bug_report_needs(root, capfd):
    code, found = document(capfd, "doctor", "--root", str(root))
    assert code == 0
    needed = {"python", "jax", "backend", "devices", "cores", "memory", "EGL", "warp", "cache", "free disk"}
    assert needed <= set(found)
    assert found["devices"].count("cpu") == 4
    again = json.loads(json.dumps(doctor.examine(root)))
    for changing in ("memory", "free disk"):
        del found[changing], again[changing]
    assert found == again


def test_every_error_class_becomes_its_exit_code(monkeypatch, capsys):
    def classes(cls):
        return [cls, *(c for s in cls.__subclasses__() for c in classes(s))]

    for cls in classes(JaxrlError):
        error = cls.__new__(cls)
        Exception.__init__(error, "one sentence")

        def fail(args, root, error=error):
            raise error

        monkeypatch.setitem(VERBS, "list", fail)
        assert main(["list"]) == cls.exit_code
        assert capsys.readouterr().err == "jaxrl: one sentence\n"


def test_interrupt_and_closed_pipe(monkeypatch, capfd):
    def interrupt(args, root):
        raise KeyboardInterrupt

    monkeypatch.setitem(VERBS, "list", interrupt)
    assert main(["list"]) == 130
    assert document(capfd, "list") == (130, {"error": "interrupted", "exit_code": 130})


# -------------------------------------------------------------------------------------------- jax set-up


def test_cache_folder_is_the_first_that_can_be_written(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert api.cache_folder(tmp_path).parent == tmp_path / ".cache"
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / ".cache").write_text("a file")
    assert api.cache_folder(blocked).parent == tmp_path / "user" / "jaxrl"
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert api.cache_folder(blocked) is None


def test_devices_cannot_change_once_jax_is_in_use(root, capsys):
    import jax

    jax.devices()
    assert main(["run", "toy/ring", "smoke", "--devices", "3", "--root", str(root)]) == 2
    assert "devices: jax is already in use" in capsys.readouterr().err


def test_config_round_trip_of_every_preset(root):
    module = catalogue.load(root, "toy/ring")
    for config in module.PRESETS.values():
        assert plan.config_from_dict(module.Config, config_to_dict(config)) == config
