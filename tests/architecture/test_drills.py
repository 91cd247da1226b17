"""Drills on a copy of the tree: a family comes without an old file changing, and goes without a trace."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, families

TOY = Path(__file__).with_name("seventh_family")
NEW = sorted(path.relative_to(TOY) for path in TOY.rglob("*") if path.is_file() and path.suffix != ".pyc")
FAMILY = "bandit"
TESTED = ("tests", "tests/theory", "tests/experiments", "tests/benchmarks")
FOLDERS = ("jaxrl", "experiments", "theory", "benchmarks", *TESTED)


def execute(folder: Path, *command: str, seconds: float = 600) -> subprocess.CompletedProcess:
    """A command in a copy of the tree, which imports the copy."""
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=seconds)


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=drill", "-c", "user.email=drill@localhost")
    done = execute(folder, "git", *identity, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def suite(folder: Path, *words: str, seconds: float = 600) -> str:
    """The last lines of a run of fast tests without the drills themselves; the run has to pass."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
    done = execute(folder, *command, "--ignore=tests/architecture/test_drills.py", *words, seconds=seconds)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture
def copy(tmp_path):
    """Every file that git knows or would add, committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode:
        pytest.skip("the tree is no git checkout, so there is no list of its files")
    folder = tmp_path / "tree"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "before")
    return folder


def add_toy(folder: Path) -> None:
    for name in NEW:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOY / name, folder / name)
    git(folder, "add", "-A")


def remove(folder: Path, family: str) -> None:
    """Deletes a family, its theory, tests, experiments, and what carries its name in the shared folders."""
    for place in FOLDERS:
        shutil.rmtree(folder / place / family, ignore_errors=True)
    named = ("notebooks/{}*", "jaxrl/envs/**/{}_*.py", "tests/envs/**/test_{}_*.py")
    for file in (path for pattern in named for path in folder.glob(pattern.format(family))):
        file.unlink()
    git(folder, "add", "-A")


def test_a_seventh_family_changes_no_old_file(copy):
    add_toy(copy)
    changes = git(copy, "status", "--porcelain").splitlines()
    assert sorted(changes) == sorted(f"A  {name.as_posix()}" for name in NEW)
    output = suite(copy, "tests/architecture", f"tests/{FAMILY}", f"tests/envs/test_{FAMILY}_arms.py")
    assert FAMILY not in output  # no test of the family was skipped
    assert "1 passed" in suite(copy, "tests/contract", "-k", "test_catalogue and BernoulliArms")
    assert "3 passed" in suite(copy, "tests/theory/test_report.py", "-k", f"[{FAMILY}")
    before = git(copy, "ls-files", "-s", "theory/*/REPORT.md")
    done = execute(copy, sys.executable, "-m", "theory.report", f"{FAMILY}/")
    assert done.returncode == 0, done.stderr
    git(copy, "add", "-A")
    assert git(copy, "ls-files", "-s", "theory/*/REPORT.md") == before
    listed = execute(copy, sys.executable, "-m", "jaxrl.cli.main", "list")
    assert f"{FAMILY}/regret" in listed.stdout, listed.stderr
    git(copy, "commit", "-q", "-m", "with the family")

    remove(copy, FAMILY)
    assert git(copy, "diff", "--stat", "HEAD~1") == ""


@pytest.mark.slow
def test_a_seventh_family_passes_the_contracts_and_runs(copy):
    add_toy(copy)
    suite(copy, "tests/contract")
    done = execute(copy, sys.executable, "-m", "jaxrl.cli.main", "run", f"{FAMILY}/regret", "smoke")
    assert done.returncode == 0, done.stderr
    assert len(list((copy / "runs" / FAMILY / "regret").glob("*/*/figures/regret.png"))) == 1


def test_removal_drill_notices_a_sideways_import(copy):
    add_toy(copy)
    user = copy / "jaxrl" / "baselines" / "value_iteration.py"
    user.write_text(f"{user.read_text()}\nfrom jaxrl.{FAMILY}.objectives import ucb_index\n")
    git(copy, "add", "-A")
    with pytest.raises(AssertionError, match=rf"may not import[\WE]*jaxrl\.{FAMILY}"):
        suite(copy, "tests/architecture/test_imports.py")
    remove(copy, FAMILY)
    with pytest.raises(AssertionError, match=rf"No module named 'jaxrl\.{FAMILY}'"):
        suite(copy, "--collect-only", "tests/baselines/test_value_iteration.py")


@pytest.mark.slow
@pytest.mark.parametrize("family", families() or [pytest.param("", marks=pytest.mark.skip("no family yet"))])
def test_everything_else_survives_the_removal_of_a_family(copy, family):
    remove(copy, family)
    suite(copy, "--collect-only")
    suite(copy, "-n", str(min(4, os.cpu_count() or 1)), "--dist", "worksteal", seconds=7200)
