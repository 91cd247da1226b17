"""The lock as every installer reads it: pins, with the extras that the packages ask for."""

import re
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
NAME = re.compile(r"^([\w.-]+)(?:\[([^\]]*)\])?==", re.MULTILINE)
OLDEST_PIP = "22.3.1"  # what Python 3.11 came with first


def locked(text: str) -> dict[str, set[str]]:
    """The extras of every package that a lock names."""
    found: dict[str, set[str]] = {}
    for name, extras in NAME.findall(text):
        entry = found.setdefault(canonicalize_name(name), set())
        entry |= {canonicalize_name(extra) for extra in extras.replace(" ", "").split(",") if extra}
    return found


def asked(name: str, extras: set[str]) -> list[Requirement]:
    """What an installed package requires here, with some of its own extras chosen."""
    lines = metadata.requires(name) or []
    environments = [{"extra": extra} for extra in ("", *extras)]
    needs = map(Requirement, lines)
    return [r for r in needs if r.marker is None or any(r.marker.evaluate(e) for e in environments)]


def missing(lock: dict[str, set[str]]) -> list[str]:
    """Extras that an installed package of the lock asks for and the lock does not name."""
    installed = {canonicalize_name(d.metadata["Name"]) for d in metadata.distributions()}
    return [
        f"{name} asks for {need}"
        for name in sorted(lock.keys() & installed)
        for need in asked(name, lock[name])
        if not {canonicalize_name(e) for e in need.extras} <= lock.get(canonicalize_name(need.name), set())
    ]


def test_the_lock_names_the_extras_that_its_packages_ask_for():
    assert missing(locked(LOCK.read_text())) == []


def test_a_lock_without_extras_is_found_out():
    bare = {name: set() for name in locked(LOCK.read_text())}
    assert any(line.startswith("pytest-cov asks for coverage[toml]") for line in missing(bare))


@pytest.mark.network
@pytest.mark.slow
def test_the_oldest_pip_resolves_the_lock(tmp_path):
    python = shutil.which("python3.11")
    if python is None or subprocess.run([python, "-c", ""], check=False).returncode:
        pytest.skip("needs python3.11 on PATH")
    subprocess.run([python, "-m", "venv", tmp_path], check=True)
    pip = [str(tmp_path / "bin" / "python"), "-m", "pip"]
    fetched = subprocess.run([*pip, "install", "-q", f"pip=={OLDEST_PIP}"], capture_output=True, check=False)
    if fetched.returncode:
        pytest.skip(f"needs a package index that has pip {OLDEST_PIP}")
    command = [*pip, "install", "-q", "--dry-run", "--require-hashes", "-r", str(LOCK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
