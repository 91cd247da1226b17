"""The bootstrap: which interpreter, which installer, what survives interruption, and what a refusal says."""

import ast
import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import dev

SOURCE = Path(dev.__file__)


def program(path: Path, script: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def interpreter(path: Path, version: str) -> Path:
    """A program that answers as a Python of that version would."""
    return program(path, f"echo {version}")


@pytest.fixture
def bin_folder(tmp_path, monkeypatch):
    """The only folder on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.setattr(dev.sys, "executable", str(folder / "running"))
    return folder


@pytest.fixture
def project(tmp_path):
    """A checkout in a folder with a space and letters beyond ASCII; `uv` on PATH notes how it was called."""
    root = tmp_path / "mes données"
    root.mkdir()
    for name in ("dev.py", "pyproject.toml", "requirements.lock"):
        (root / name).write_bytes((SOURCE.parent / name).read_bytes())
    program(tmp_path / "bin" / "uv", f'[ "$1" = --version ] || echo "$@" >> "{tmp_path}/calls"')
    return root


def calls(project: Path) -> list[str]:
    """What was asked of uv, `.venv` paths shortened."""
    file = project.parent / "calls"
    return file.read_text().replace(str(project), "ROOT").splitlines() if file.exists() else []


def environment(project: Path) -> dict[str, str]:
    """The fake uv first on PATH, and nothing for pip to install from should it take over."""
    path = f"{project.parent / 'bin'}:{os.environ['PATH']}"
    no_pip = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    return {"PATH": path, "PYTHON": sys.executable, **no_pip}


def bootstrap(project: Path, *words: str) -> subprocess.CompletedProcess:
    """`python dev.py WORDS`, whose standard input has to be good for nothing."""
    command = [sys.executable, project / "dev.py", *words]
    options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 120}
    return subprocess.run(command, env=environment(project), **options)


def test_is_valid_for_the_oldest_python_that_should_explain_itself():
    ast.parse(SOURCE.read_text(), feature_version=(3, 8))
    modules = {name.name for node in ast.walk(ast.parse(SOURCE.read_text())) if isinstance(node, ast.Import)
               for name in node.names}  # fmt: skip
    assert modules <= sys.stdlib_module_names


def test_the_interpreter_that_runs_it_comes_before_the_newest(bin_folder):
    interpreter(bin_folder / "python3.13", "3 13 0")
    running = interpreter(bin_folder / "running", "3 12 4")
    assert dev.find_interpreter(None) == (str(running), (3, 12, 4))


def test_newest_supported_interpreter_wins_where_the_running_one_will_not_do(bin_folder):
    interpreter(bin_folder / "running", "3 10 13")
    interpreter(bin_folder / "python3", "3 11 7")
    interpreter(bin_folder / "python3.12", "3 12 1")
    assert dev.find_interpreter(None) == (str(bin_folder / "python3.12"), (3, 12, 1))


def test_python_variable_comes_before_the_search_and_the_option_before_both(bin_folder, monkeypatch):
    interpreter(bin_folder / "python3.13", "3 13 0")
    mine = interpreter(bin_folder / "mine", "3 11 2")
    monkeypatch.setenv("PYTHON", "mine")
    assert dev.find_interpreter(None) == (str(mine), (3, 11, 2))
    assert dev.find_interpreter("python3.13")[1] == (3, 13, 0)


def test_shim_of_an_inactive_version_counts_as_absent(bin_folder):
    program(bin_folder / "python3.13", "echo not active >&2; exit 127")
    interpreter(bin_folder / "python3.11", "3 11 7")
    assert dev.find_interpreter(None)[1] == (3, 11, 7)


def test_environment_of_the_project_is_no_base_for_itself(bin_folder, monkeypatch):
    monkeypatch.setattr(dev, "VENV", bin_folder)
    interpreter(bin_folder / "python3", "3 11 7")
    with pytest.raises(dev.Stop, match="no python3 on PATH"):
        dev.find_interpreter(None)


@pytest.mark.parametrize(
    ("versions", "chosen", "sentence"),
    [
        ({"python3": "3 10 13"}, None, "3.11 to 3.13, but python3 is 3.10.13;"),
        ({"python3": "3 8 18", "old": "2 7 18"}, "old", "3.11 to 3.13, but old is 2.7.18;"),
        ({"python3": "3 14 0"}, None, "3.11 to 3.13, but python3 is 3.14.0;"),
        ({}, None, "3.11 to 3.13, but no python3 on PATH"),
        ({"python3.12": "3 12 1"}, "missing", "3.11 to 3.13, but missing does not run;"),
    ],
)
def test_refusal_says_what_was_found(bin_folder, versions, chosen, sentence):
    for name, text in versions.items():
        interpreter(bin_folder / name, text)
    with pytest.raises(dev.Stop, match=sentence) as stop:
        dev.find_interpreter(chosen)
    assert stop.value.status == 2


def test_refusal_is_one_line_and_status_2(project):
    old = interpreter(project.parent / "python3.10", "3 10 13")
    done = bootstrap(project, "demo", "--python", str(old))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert not (project / ".venv").exists()


def test_uv_that_does_not_run_counts_as_absent(bin_folder):
    assert dev.find_uv() is None
    program(bin_folder / "uv", "exit 127")
    assert dev.find_uv() is None
    program(bin_folder / "uv", "echo uv 1")
    assert dev.find_uv() == str(bin_folder / "uv")


def test_missing_ensurepip_is_named(bin_folder, monkeypatch):
    debian = program(bin_folder / "python3.12", 'case "$2" in *venv*) exit 1;; *) echo 3 12 1;; esac')
    with pytest.raises(dev.Stop, match=r"lacks ensurepip; install python3\.12-venv"):
        dev.make_venv(str(debian), (3, 12, 1))


def test_set_up_installs_once_and_again_when_the_lock_changes(project):
    first = bootstrap(project, "setup")
    assert first.returncode == 0, first.stderr
    assert calls(project) == [
        "pip install --python ROOT/.venv/bin/python --compile-bytecode --require-hashes -r requirements.lock",
        "pip install --python ROOT/.venv/bin/python --no-deps --no-build-isolation -e .",
    ]
    again = bootstrap(project, "setup")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert len(calls(project)) == 2

    with open(project / "requirements.lock", "a") as lock:
        lock.write("# changed\n")
    assert bootstrap(project, "setup").returncode == 0
    assert len(calls(project)) == 4


@pytest.mark.parametrize("lost", ["pyvenv.cfg", "lib"])
def test_a_damaged_environment_is_made_anew(project, lost):
    assert bootstrap(project, "setup").returncode == 0
    damaged = project / ".venv" / lost
    shutil.rmtree(damaged) if damaged.is_dir() else damaged.unlink()
    again = bootstrap(project, "setup")
    assert again.returncode == 0 and "creating .venv" in again.stdout
    assert damaged.exists() and len(calls(project)) == 4
    assert bootstrap(project, "setup").stdout == ""


@pytest.mark.parametrize("make", [Path.touch, lambda path: path.symlink_to("elsewhere")])
def test_an_environment_that_is_no_folder_is_refused(project, make):
    make(project / ".venv")
    done = bootstrap(project, "setup")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert ".venv is a link or a file and no folder; remove it" in done.stderr


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EACCES, "this user cannot write this checkout"),
        (errno.EROFS, "this user cannot write this checkout"),
        (errno.ENOSPC, "free some space, then run the same command again"),
        (errno.EIO, "mend it, then run the same command again"),
    ],
)
def test_what_the_file_system_refuses_is_one_sentence(monkeypatch, capsys, number, sentence):
    def refuse(chosen, with_uv):
        raise OSError(number, os.strerror(number), "place")

    monkeypatch.setattr(dev, "set_up", refuse)
    assert dev.main(["setup"]) == 6
    said = capsys.readouterr().err
    assert said.startswith(f"dev.py: place: {os.strerror(number)}; ") and sentence in said
    assert said.count("\n") == 1


def test_a_user_without_a_home_has_one_made(monkeypatch, tmp_path):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(dev.Path, "home", no_home)
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    assert dev.run_environment()["HOME"] == str(tmp_path / ".cache" / "home")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("PIP_CACHE_DIR", raising=False)
    assert dev.install_environment()["PIP_CACHE_DIR"] == str(dev.VENV / ".cache" / "pip")


def test_a_failed_installation_says_what_to_do(monkeypatch):
    monkeypatch.setattr(dev, "run", lambda *command, env=None, check=True: 1)
    monkeypatch.setattr(dev, "find_uv", lambda: None)
    monkeypatch.setattr(dev, "answer", lambda *command: "pip 23")
    with pytest.raises(dev.Stop, match=r"set-up failed.*: check the network.*run the same command again"):
        dev.install()


def test_interrupted_set_up_starts_over(project):
    program(project.parent / "bin" / "uv", '[ "$1" = --version ] || kill -TERM $PPID; sleep 1')
    stopped = bootstrap(project, "setup")
    assert stopped.returncode == 128 + 15
    half = project / ".venv" / "half-installed"
    half.touch()
    program(project.parent / "bin" / "uv", f'[ "$1" = --version ] || echo "$@" >> "{project.parent}/calls"')
    assert bootstrap(project, "setup").returncode == 0
    assert not half.exists() and len(calls(project)) == 2


def test_second_set_up_waits_for_the_first(project):
    with open(project / ".venv.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        command = [sys.executable, project / "dev.py", "setup"]
        with subprocess.Popen(command, env=environment(project), stdout=subprocess.PIPE, text=True) as second:
            assert "waiting" in second.stdout.readline()
            assert not (project / ".venv").exists()
            fcntl.flock(handle, fcntl.LOCK_UN)
            assert second.wait(timeout=120) == 0
    assert (project / ".venv" / ".jaxrl-stamp").read_text() not in ("", dev.INTERRUPTED)


def test_closed_input_unwritable_home_and_c_locale(project):
    # what an editable install leaves: a file with the folder's name, which Python reads when it starts
    leave = 'for f in .venv/lib/python3.*/site-packages; do echo "$PWD" > "$f/project.pth"; done'
    note = f'echo "$UV_CACHE_DIR" >> "{project.parent}/calls"'
    program(project.parent / "bin" / "uv", f'[ "$1" = --version ] || {{ {note}; {leave}; }}')
    env = {**environment(project), "HOME": "/dev/null/home", "LC_ALL": "C"}
    command = ["sh", "-c", f'exec "{sys.executable}" "{project}/dev.py" setup <&-']
    for _ in range(2):
        done = subprocess.run(command, env=env, capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    assert calls(project) == ["ROOT/.venv/.cache/uv"] * 2


def test_pip_takes_over_when_uv_fails(monkeypatch):
    seen = []

    def run(*command, env=None, check=True):
        seen.append([Path(command[0]).name, *command[1:]])
        return 1 if Path(command[0]).name == "uv" else 0

    monkeypatch.setattr(dev, "run", run)
    monkeypatch.setattr(dev, "find_uv", lambda: "/bin/uv")
    monkeypatch.setattr(dev, "answer", lambda *command: "pip 23")
    dev.install()
    pip = ["python", "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    assert [words[0] for words in seen] == ["uv", "python", "python"]
    assert seen[1] == [*pip, "--require-hashes", "-r", "requirements.lock"]
    assert seen[2] == [*pip, "--no-deps", "--no-build-isolation", "-e", "."]
    assert not any("index" in word or "find-links" in word for words in seen for word in map(str, words))


def test_uv_can_be_left_out(monkeypatch):
    seen = []
    monkeypatch.setattr(dev, "run", lambda *command, env=None, check=True: seen.append(command[1]))
    monkeypatch.setattr(dev, "find_uv", lambda: "/bin/uv")
    monkeypatch.setattr(dev, "answer", lambda *command: "pip 23")
    dev.install(with_uv=False)
    assert seen == ["-m", "-m"]


def test_unknown_words_are_refused_where_nobody_reads_them(capsys):
    with pytest.raises(SystemExit) as stop:
        dev.main(["demo", "--quick"])
    assert stop.value.code == 2
    assert "demo takes no further words: --quick" in capsys.readouterr().err


def test_notebooks_are_opened_by_name(monkeypatch):
    seen = []
    monkeypatch.setattr(dev, "run", lambda *command, env=None, check=True: seen.append(command))
    monkeypatch.setattr(dev.os, "geteuid", lambda: 1000)
    dev.notebook(None, ["tour"])
    assert seen == [(dev.PYTHON, "-m", "jupyter", "lab", "notebooks/tour.ipynb")]
    with pytest.raises(dev.Stop, match=r"notebook 'tuor' does not exist; there are .*tour"):
        dev.notebook(None, ["tuor"])


@pytest.mark.parametrize(
    ("every", "callers", "used"),
    [(False, None, dev.UNOPTIMISED), (False, "--xla_dump_to=x", "--xla_dump_to=x"), (True, None, None)],
)
def test_only_the_fast_tests_compile_without_optimisation(monkeypatch, every, callers, used):
    seen = []
    monkeypatch.setattr(dev, "run", lambda *command, env: seen.append((command, env.get("XLA_FLAGS"))))
    monkeypatch.setattr(dev.os, "cpu_count", lambda: 2)
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    if callers:
        monkeypatch.setenv("XLA_FLAGS", callers)
    dev.test(SimpleNamespace(all=every), [])
    marks = ("-m", dev.ALL if every else dev.FAST)
    assert seen == [((dev.PYTHON, "-m", "pytest", *marks, "-n", "2", "--dist", "worksteal"), used)]


def test_makefile_has_one_alias_per_verb():
    text = (SOURCE.parent / "Makefile").read_text()
    verbs = {"setup", *(verb.__name__ for verb in dev.VERBS)}
    assert set(text.partition("VERBS :=")[2].partition("\n")[0].split()) == verbs
