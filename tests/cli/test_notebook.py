"""A run in a notebook: what it shows of itself, and its curves."""

import nbclient
import nbformat
import numpy as np

from jaxrl.cli import api
from tests.run import ring


def test_a_run_shows_its_table_and_its_figures(finished):
    shown = finished._repr_html_()
    assert "toy/ring smoke" in shown and "done" in shown
    assert "95 %" in shown and "data:image/png;base64," in shown
    assert "<script" not in shown and "http" not in shown


def test_curves_are_those_of_the_log(finished):
    records = [record for record in finished.read_metrics() if "update" in record]
    found = finished.curves()
    np.testing.assert_array_equal(found["update"], [record["update"] for record in records])
    name = next(name for name, values in found.items() if values.ndim == 2)
    np.testing.assert_array_equal(found[name], [record[name] for record in records])


def test_a_run_says_where_it_is_and_how_it_ended(finished):
    assert repr(finished) == f"Run({str(finished.path)!r}, state='done')"
    assert repr(api.resume(finished.path, root=finished.root)) == repr(finished)


RUN = """
from jaxrl.cli import api
run = api.run("toy/ring", "smoke", root={root!r}, out={out!r})
run
"""
BAR = """
from jaxrl.run import log
first = log.Reporter(print, "train", 40, None)
with first.running(True):
    first.now("busy")
log.CellBar(log.notebook_cell(), "train", 4).update(0, completed=1)
"""


def test_three_lines_run_an_experiment_in_a_notebook(tmp_path):
    root = ring.make_root(tmp_path / "root")
    cells = [RUN.format(root=str(root), out=str(tmp_path / "runs")), BAR]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    place = {"metadata": {"path": ring.REPOSITORY}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    run, *bars = [output["data"] for output in outputs if "data" in output]
    assert "toy/ring smoke" in run["text/html"]
    assert bars == [
        {"text/plain": ""},
        {"text/plain": "[#####               ]  25% train"},
    ]  # the first was removed at its end
