"""R27: what README, the pages and the notebooks show is executed; what they name exists."""

import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import jupytext
import nbclient
import pytest

import dev
import jaxrl
from jaxrl.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def program(page: Path) -> str:
    """The Python of a page, in order; blocks that include a file are executed where that file is tested."""
    return "\n".join(text for text in blocks(page, "python") if "--8<--" not in text)


@pytest.mark.parametrize("page", [p for p in PAGES if program(p)], ids=lambda p: p.name)
def test_r27_python_of_the_pages_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    file = tmp_path / "page.py"
    file.write_text(program(page))
    runpy.run_path(str(file), run_name="__main__")
    if page.name == "README.md":
        scores = re.findall(r"^lr \S+, seed \d: return (\d+)$", capsys.readouterr().out, re.MULTILINE)
        assert len(scores) == 6 and max(map(int, scores)) > 200  # a random policy reaches about 20


def test_r27_included_files_exist():
    names = [name for page in PAGES for name in re.findall(r'--8<-- "(.+?)"', page.read_text())]
    assert names and all((ROOT / name).is_file() for name in names)


def commands() -> list[tuple[str, ...]]:
    """Every command line in a shell block or between backticks."""
    lines = [line for page in PAGES for text in blocks(page, "bash") for line in text.splitlines()]
    for page in PAGES:
        lines += re.findall(r"`((?:python3|jaxrl|make) [^`]+)`", page.read_text())
    return sorted({tuple(line.split("#")[0].split()) for line in lines if line})


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_r27_commands_of_the_pages_exist(words):
    program, verb = Path(words[0]).name, words[1]
    if program == "python3":
        assert verb == "dev.py" and words[2] in {"setup", *(v.__name__ for v in dev.VERBS)}
    elif program == "make":
        assert verb in {"setup", *(v.__name__ for v in dev.VERBS)}
    else:
        assert program == "jaxrl"
        assert verb == "EXPERIMENT" or verb in main.VERBS
        if "/" in words[-1] or (len(words) > 2 and "/" in words[2]):
            assert (ROOT / "experiments" / f"{words[2]}.py").is_file()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.py")), ids=lambda p: p.name)
def test_r27_notebooks_run(path, monkeypatch):
    monkeypatch.setenv("JAXRL_SMOKE", "1")
    notebook = jupytext.read(path)
    place = {"metadata": {"path": ROOT}}
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place)
    client.execute()
    errors = [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    assert errors == []
    assert any("image/png" in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", []))


def test_r27_pages_build_strictly(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    built = {path.parent.name for path in (tmp_path / "site").glob("*/index.html")}
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"} <= built


def test_links_between_pages_lead_somewhere():
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    listed = re.search(r"^## (\d\S*?),", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert {project, cited[1], listed[1]} == {jaxrl.__version__}
