"""The command `jaxrl`: dispatch, help, exit codes, and what is printed."""

import json
import os
import subprocess
import sys

import pytest

from jaxrl.cli.main import COMMANDS, experiment_main, main
from jaxrl.core.errors import JaxrlError
from jaxrl.run.folder import RunFolder, installed_versions
from tests.run import ring


def test_help_list_and_unknown_names_do_not_import_jax(root):
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


def test_overview_names_every_command(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(f"  {command} " in text for command in COMMANDS)


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


def test_every_error_class_becomes_its_exit_code(monkeypatch, capsys):
    def classes(cls):
        return [cls, *(c for s in cls.__subclasses__() for c in classes(s))]

    for cls in classes(JaxrlError):
        error = cls.__new__(cls)
        Exception.__init__(error, "one sentence")

        def fail(args, root, error=error):
            raise error

        monkeypatch.setitem(COMMANDS, "list", fail)
        assert main(["list"]) == cls.exit_code
        assert capsys.readouterr().err == "jaxrl: one sentence\n"


def test_interrupt_and_closed_pipe(monkeypatch, document):
    def interrupt(args, root):
        raise KeyboardInterrupt

    monkeypatch.setitem(COMMANDS, "list", interrupt)
    assert main(["list"]) == 130
    assert document("list") == (130, {"error": "interrupted", "exit_code": 130})


def test_version_and_help_of_every_command(document, root):
    assert document("--version") == (0, {"version": installed_versions().get("jaxrl", "(not installed)")})
    for command in COMMANDS:
        assert document(command, "--help", "--root", root)[0] == 0


def test_a_fault_of_ours_is_one_document_and_a_traceback(monkeypatch, capfd, document):
    def fail(args, root):
        raise ZeroDivisionError("oops")

    monkeypatch.setitem(COMMANDS, "list", fail)
    capfd.readouterr()
    assert main(["list", "--json"]) == 1
    text = capfd.readouterr()
    assert json.loads(text.out) == {"error": "ZeroDivisionError: oops", "exit_code": 1}
    assert "Traceback" in text.err
    with pytest.raises(ZeroDivisionError):
        main(["list"])


def test_a_document_without_standard_output_is_lost_in_silence(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["--version", "--json"]) == 0


def test_a_run_whose_lines_nobody_reads_goes_on(root, tmp_path):
    """As after `jaxrl run ... 2>&1 | head -1`: every later line meets a broken pipe."""
    code = "import sys; from jaxrl.cli.main import main; sys.exit(main(sys.argv[1:]))"
    args = ["run", "toy/ring", "smoke", "--updates", "2", "--out", str(tmp_path / "a place")]
    program = subprocess.Popen(
        [sys.executable, "-c", code, *args],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": str(ring.REPOSITORY)},
    )
    while b"run     " not in program.stdout.readline():  # what the experiment itself prints comes before
        pass
    program.stdout.close()
    assert program.wait(timeout=120) == 0
    (config,) = (tmp_path / "a place").glob("**/config.json")
    assert RunFolder.open(config.parent).status["state"] == "done"


def test_a_platform_without_a_device_is_one_sentence(root, tmp_path):
    done = ring.jaxrl("run", "toy/ring", "smoke", "--out", str(tmp_path), cwd=root, JAX_PLATFORMS="cuda")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "JAX_PLATFORMS: jax finds no device of cuda" in done.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())
    done = ring.jaxrl("doctor", cwd=root, JAX_PLATFORMS="cuda")
    assert (done.returncode, "jax finds no device of cuda" in done.stdout) == (0, True)


def test_an_invalid_backend_of_matplotlib_is_one_sentence(root):
    done = ring.jaxrl("report", "--index", cwd=root, MPLBACKEND="bogus")
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr
    code = "import jaxrl.report.plots"
    env = {**os.environ, "MPLBACKEND": "bogus", "PYTHONPATH": str(ring.REPOSITORY)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert "jaxrl.core.errors.UsageError: MPLBACKEND: matplotlib refuses it" in done.stderr.splitlines()[-1]
