"""What the repository promises beside its numbers."""

import ast
import json
import os
import re
import socket
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.reliability import api_snapshot

ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(
    p for folder in ("jaxrl", "experiments", "theory", "benchmarks") for p in (ROOT / folder).rglob("*.py")
)
LOCK = (ROOT / "requirements.lock").read_text()


def run(command, **options) -> subprocess.CompletedProcess:
    options = {"capture_output": True, "text": True, "timeout": 300, "stdin": subprocess.DEVNULL, **options}
    return subprocess.run([str(word) for word in command], **options)


UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch"}
UNSAFE_CALLS = {"eval", "exec", "yaml.load", "os.system"}


def unsafe(tree: ast.Module) -> list[str]:
    """Everything that can run code hidden in a file or a string."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.partition(".")[0] in UNSAFE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in UNSAFE_MODULES:
            found.append(node.module)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in UNSAFE_CALLS:
            found.append(ast.unparse(node.func))
        elif (
            isinstance(node, ast.keyword)
            and node.arg == "allow_pickle"
            and ast.unparse(node.value) != "False"
        ):
            found.append("allow_pickle")
        elif isinstance(node, ast.keyword) and node.arg == "shell" and ast.unparse(node.value) != "False":
            found.append("shell")
    return found


@pytest.mark.parametrize("path", [*CODE, ROOT / "dev.py"], ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_can_run_code_from_a_file(path):
    assert unsafe(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from torch import load",
        "eval(text)",
        "yaml.load(f)",
        "np.load(f, allow_pickle=True)",
        "np.load(f, allow_pickle=flag)",
        "subprocess.run(text, shell=True)",
    ],
)
def test_finds(line):
    assert len(unsafe(ast.parse(line))) == 1


def test_is_not_fooled_by_names():
    assert unsafe(ast.parse("jax.eval_shape(f); np.load(f, allow_pickle=False); self.eval(x)")) == []


def test_the_suite_has_no_network():
    with pytest.raises(PermissionError, match="network"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    with pytest.raises(PermissionError, match="network"):
        socket.getaddrinfo("example.org", 80)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An environment into which only the built wheel was installed; its libraries are those of this one.

    They come through a path file, which does not read the path files beside them, so that the editable
    install of the checkout is out of sight.
    """
    folder = tmp_path_factory.mktemp("wheel")
    steps = [
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        [sys.executable, "-m", "venv", "--without-pip", folder / "venv"],
    ]
    for command in steps:
        done = run(command, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel]
    done = run(pip)
    assert done.returncode == 0, done.stderr
    (site,) = folder.glob("venv/lib/python3.*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return wheel, python


@pytest.mark.slow
def test_the_wheel_is_complete(installed):
    names = zipfile.ZipFile(installed[0]).namelist()
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "jaxrl").rglob("*") if path.is_file()}
    missing = {name for name in here if "__pycache__" not in name} - set(names)
    assert missing == set()
    assert {name.partition("/")[0] for name in names} == {"jaxrl", f"jaxrl-{PROJECT['version']}.dist-info"}


@pytest.mark.slow
def test_the_wheel_works_outside_the_repository(installed, tmp_path):
    python = installed[1]
    where = run([python, "-c", "import jaxrl; print(jaxrl.__file__)"], cwd=tmp_path)
    assert Path(where.stdout.strip()).is_relative_to(python.parents[1])
    doctor = run([python.parent / "jaxrl", "doctor"], cwd=tmp_path)
    assert doctor.returncode == 0 and "jax" in doctor.stdout
    (example,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    done = run([python, "-c", example], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^lr .*return", done.stdout, re.MULTILINE)) == 6


GRAPH = """
import sys, time, json
import jax, flax
before, names = time.process_time(), set(sys.modules)
import jaxrl
spent = time.process_time() - before
for module in {more}:
    __import__(module)
heavy = {{"brax", "distrax", "orbax", "gymnasium", "mujoco"}} & {{m.partition(".")[0] for m in sys.modules}}
print(json.dumps([spent, sorted(heavy), sorted(set(sys.modules) - names)]))
"""


def graph(*more: str):
    done = run(
        [sys.executable, "-c", GRAPH.format(more=list(more))], env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_jaxrl_is_light():
    seconds, heavy, new = graph()
    assert seconds < 0.5
    assert heavy == []
    assert new == ["jaxrl"]


def test_the_command_line_and_the_environments_load_no_heavy_library():
    shared = (
        "jaxrl.cli.main",
        "jaxrl.envs.control.cartpole",
        "jaxrl.envs.adapters.brax",
        "jaxrl.rollout.unroll",
    )
    assert graph(*shared)[1] == []


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILD = [line for line in (ROOT / "build.in").read_text().splitlines() if line and not line.startswith("#")]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = [*PROJECT["dependencies"], *EXTRAS["dev"], *EXTRAS["docs"], *BUILD]
PIN = r"^([\w.-]+)(?:\[[\w, -]+\])?==(\S+)(?: ; (.+?))? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+"
PINS = re.findall(PIN, LOCK, re.MULTILINE)


def test_the_lock_names_no_address():
    assert "://" not in LOCK


def test_every_line_of_the_lock_is_a_pin_with_hashes():
    lines = [line for line in LOCK.splitlines() if not line.startswith((" ", "#")) and line]
    assert len(lines) == len(PINS) > 90


@pytest.mark.parametrize("python", ["3.11.7", "3.12.1", "3.13.0"])
@pytest.mark.parametrize("wanted", WANTED)
def test_every_requirement_is_locked_for_every_python(wanted, python):
    requirement = Requirement(wanted)
    platform = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    locked = [
        version
        for name, version, marker in PINS
        if canonicalize_name(name) == canonicalize_name(requirement.name)
        and (not marker or Marker(marker).evaluate(platform))
    ]
    assert len(locked) == 1
    assert requirement.specifier.contains(locked[0], prereleases=True)


def test_what_is_installed_agrees_with_itself():
    done = run([sys.executable, "-m", "pip", "check"])
    assert done.returncode == 0, done.stdout


def test_the_public_surface_changes_only_on_purpose():
    assert api_snapshot.surface() == api_snapshot.FILE.read_text(), api_snapshot.CHANGED


def test_lint_says_that_the_snapshot_is_out_of_date(tmp_path, monkeypatch):
    monkeypatch.setattr(api_snapshot, "FILE", tmp_path / "api.txt")
    api_snapshot.FILE.write_text("jaxrl.core.a def gone()\n")
    with pytest.raises(SystemExit, match="public surface changed"):
        api_snapshot.main(["--check"])
    assert api_snapshot.FILE.read_text() == "jaxrl.core.a def gone()\n"
    api_snapshot.main([])
    api_snapshot.main(["--check"])
    assert '"tests/reliability/api_snapshot.py", "--check"' in (ROOT / "dev.py").read_text()


def test_the_snapshot_shows_names_and_signatures(tmp_path):
    module = tmp_path / "jaxrl" / "core" / "a.py"
    module.parent.mkdir(parents=True)
    module.write_text(
        "def f(x: int, *, y=1) -> str: ...\ndef _g(): ...\n"
        "class C(Base):\n    n: int = 3\n    _m: int\n    def h(self): ...\n"
    )
    assert api_snapshot.surface(tmp_path).splitlines() == [
        "jaxrl.core.a def f(x: int, *, y=1) -> str",
        "jaxrl.core.a class C(Base)",
        "jaxrl.core.a field C.n: int = 3",
        "jaxrl.core.a def C.h(self)",
    ]
