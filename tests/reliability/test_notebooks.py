"""Notebooks are committed twice, as a script and with the outputs of a full run, and both say the same."""

import re
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
MAX_BYTES = 1_000_000


def cells(notebook):
    """Kind and source of every cell."""
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def outputs(notebook):
    """Every output of every code cell."""
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_holds_the_cells_of_its_script(script):
    notebook = script.with_suffix(".ipynb")
    assert notebook.exists(), f"python3 dev.py notebook --execute {script.stem}"
    assert cells(jupytext.read(notebook)) == cells(jupytext.read(script)), (
        f"the script changed: python3 dev.py notebook --execute {script.stem}"
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_shows_a_whole_run(script):
    notebook = jupytext.read(script.with_suffix(".ipynb"))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert [output for output in outputs(notebook) if output.output_type == "error"] == []
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_the_notebook_is_small_and_names_no_machine(script):
    text = script.with_suffix(".ipynb").read_text()
    assert len(text.encode()) <= MAX_BYTES
    assert re.search(r"(?<![\w.])/(work|root|home/\w+)/", text) is None
