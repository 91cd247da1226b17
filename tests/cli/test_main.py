"""The command `jaxrl`: dispatch, help, exit codes, and what is printed."""

import os
import subprocess
import sys

from jaxrl.cli.main import COMMANDS, experiment_main, main
from jaxrl.core.errors import JaxrlError


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
    assert all(f"  {verb} " in text for verb in COMMANDS)


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
