"""What README, the pages and the notebooks show is executed and exists; the site opens from disk."""

import json
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
TASKS = ROOT / "docs" / "tasks.md"  # a session in a folder of its own, executed as a whole
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FAMILY_PAGES = sorted(path for folder in ("jaxrl", "experiments") for path in (ROOT / folder).glob("*/*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COPY = re.compile(r"^<!-- copy of (\S+) -->\n```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"<(a|link|script|img|iframe)\b[^>]*?\b(?:href|src)=[\"']?([^\"'\s>]+)")


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text()) if kind == language]


def program(page: Path) -> str:
    """The Python of a page, in order; copies of files are executed where these are tested."""
    return "\n".join(text for kind, text in BLOCK.findall(COPY.sub("", page.read_text())) if kind == "python")


@pytest.mark.parametrize("page", [p for p in PAGES if program(p) and p != TASKS], ids=lambda p: p.name)
def test_python_of_the_pages_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    file = tmp_path / "page.py"
    file.write_text(program(page))
    runpy.run_path(str(file), run_name="__main__")
    if page.name == "README.md":
        scores = re.findall(r"^lr \S+, seed \d: return (\d+)$", capsys.readouterr().out, re.MULTILINE)
        assert len(scores) == 6 and max(map(int, scores)) > 200  # a random policy reaches about 20


TASK = re.compile(r"(?:^<!-- file: (\S+) -->\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = "subprocess.run(['bash', '-euo', 'pipefail', '-c', {!r}], check=True)\n"


def test_no_task_takes_twenty_lines_of_code():
    """Lines that are blank, comments or docstrings do not count; imports do."""
    found = []
    for file, _, text in TASK.findall(TASKS.read_text()):
        written = re.sub(r'(?s)""".*?"""', "", text).splitlines()
        lines = [line for line in written if line.strip() and not line.strip().startswith("#")]
        found.append((len(lines), file or text.splitlines()[0]))
    assert len(found) > 15
    assert [name for count, name in found if count >= 20] == []


@pytest.mark.slow  # seven processes
def test_tasks_work_in_a_folder_outside_the_repository(tmp_path):
    """Files are written first; one process has the Python of the page and starts its commands in between."""
    folder, tools = tmp_path / "own", tmp_path / "bin"
    tools.mkdir()
    (tools / "jaxrl").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m jaxrl.cli.main "$@"\n')
    (tools / "jaxrl").chmod(0o755)
    session = "import subprocess\n"
    for file, language, text in TASK.findall(TASKS.read_text()):
        if file:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        else:
            session += SHELL.format(text) if language == "bash" else text
    (folder / "session.py").write_text(session)
    path = f"{tools}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "session.py"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    action = float(re.search(r"^\[(-\S+)\]$", done.stdout, re.MULTILINE)[1])
    assert action == pytest.approx(-0.25, abs=0.03)
    assert all((folder / name).read_bytes().startswith(b"GIF8") for name in ("film.gif", "line.gif"))
    document = json.loads((folder / "compare.json").read_text())
    assert [row["than"] for row in document["improvement"]] == ["A"]


def test_code_copied_into_pages_is_that_of_the_files():
    """To mend it, paste the file into the block below its `<!-- copy of FILE -->`."""
    copies = [(page.name, *copy) for page in PAGES for copy in COPY.findall(page.read_text())]
    assert copies
    assert [name for _, name, text in copies if text != (ROOT / name).read_text()] == []
    assert not [
        page.name for page in PAGES if "--8<--" in page.read_text()
    ]  # only the built site resolves it


def commands() -> list[tuple[str, ...]]:
    """Every command line in a shell block or between backticks."""
    pages = [page for page in PAGES if page != TASKS]
    lines = [line for page in pages for text in blocks(page, "bash") for line in text.splitlines()]
    for page in pages:
        lines += re.findall(r"`((?:python3|jaxrl|make) [^`]+)`", page.read_text())
    return sorted({tuple(line.split("#")[0].split()) for line in lines if line})


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_commands_of_the_pages_exist(words):
    program, verb = Path(words[0]).name, words[1]
    if program == "python3":
        assert verb == "dev.py" and words[2] in {"setup", *(v.__name__ for v in dev.VERBS)}
    elif program == "make":
        assert verb in {"setup", *(v.__name__ for v in dev.VERBS)}
    else:
        assert program == "jaxrl"
        assert verb == "EXPERIMENT" or verb in main.COMMANDS
        if "/" in words[-1] or (len(words) > 2 and "/" in words[2]):
            assert (ROOT / "experiments" / f"{words[2]}.py").is_file()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.py")), ids=lambda p: p.name)
def test_notebooks_run(path, monkeypatch):
    monkeypatch.setenv("JAXRL_SMOKE", "1")
    notebook = jupytext.read(path)
    place = {"metadata": {"path": ROOT}}
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place)
    client.execute()
    errors = [o for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "error"]
    assert errors == []
    assert any("image/png" in o.get("data", {}) for cell in notebook.cells for o in cell.get("outputs", []))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The documentation, built strictly."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(target)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "DISABLE_MKDOCS_2_WARNING": "true"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def addresses(page: Path) -> list[tuple[str, str]]:
    """`(tag, address)` of what a built page links or loads, without anchors."""
    found = ADDRESS.findall(page.read_text(encoding="utf-8"))
    return [(tag, address.partition("#")[0]) for tag, address in found if address.partition("#")[0]]


def test_site_opens_from_disk(site):
    """Links lead to files, never to folders, and nothing is loaded from a network."""
    pages = sorted(site.rglob("*.html"))
    assert {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")} <= {
        p.name for p in site.glob("*.html")
    }
    broken = []
    for page in pages:
        for tag, address in addresses(page):
            if address.startswith(("http:", "https:", "mailto:")):
                broken += [] if tag == "a" else [f"{page.name} loads {address}"]
            elif page.name != "404.html" and not (page.parent / address).is_file():
                broken.append(f"{page.relative_to(site)}: {address}")
    assert broken == []


def test_site_has_the_pages_of_every_family(site):
    for source in FAMILY_PAGES:
        name = {"CHOOSE.md": "choose.html", "README.md": "index.html"}[source.name]
        name = "experiments.html" if source.parent.parent.name == "experiments" else name
        assert (site / "families" / source.parent.name / name).is_file(), source
    for family in (ROOT / "jaxrl").glob("*/README.md"):
        assert family.with_name("CHOOSE.md").is_file()


def test_site_has_a_page_for_every_module_with_its_fields(site):
    modules = [p for p in (ROOT / "jaxrl").rglob("*.py") if not p.stem.startswith("_")]
    missing = [
        p for p in modules if not (site / "api" / p.relative_to(ROOT / "jaxrl")).with_suffix(".html").exists()
    ]
    assert missing == []
    text = (site / "api" / "baselines" / "ppo.html").read_text()
    assert "Number of environments, over all devices together." in text


def test_search_works_without_a_server(site):
    """Browsers refuse workers and requests of pages from disk: the index is a script, searched in a frame."""
    index = (site / "search" / "search_index.js").read_text()
    assert index.startswith("var __index = ")
    terms = {"Proximal policy optimisation", "probability_of_improvement", "Which method should I use"}
    assert {term for term in terms if term.lower() in index.lower()} == terms
    assert "assets/iframe-worker.js" in (site / "index.html").read_text()


def test_links_between_pages_lead_somewhere():
    broken = [
        f"{page.name}: {target}"
        for page in [*PAGES, *FAMILY_PAGES]
        for target in re.findall(r"\]\(([^)#:]+)\)", re.sub("`[^`]*`", "", page.read_text()))
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    listed = re.search(r"^## (\d\S*?),", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert {project, cited[1], listed[1]} == {jaxrl.__version__}
