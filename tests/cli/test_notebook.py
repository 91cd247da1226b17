"""A run in a notebook: what it shows of itself, and its curves."""

import time

import jupyter_client
import nbclient
import nbformat
import numpy as np
import pytest

from jaxrl.cli import api
from jaxrl.run.folder import RunFolder
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


LONG = """
from jaxrl.cli import api
run = api.run("toy/ring", "smoke", root={root!r}, out={out!r}, updates=100, **{{"algo.width": 8}})
"""


def answer(client, code, timeout=300):
    """Runs a cell to its end; what the kernel replies."""
    return client.execute_interactive(code, timeout=timeout, output_hook=lambda message: None)["content"]


def untimed(folder):
    """The records of a run without what clocks said."""
    return [{k: v for k, v in x.items() if k not in ("wall_s", "cpu_s")} for x in folder.read_metrics()]


@pytest.fixture
def kernel(tmp_path):
    manager, client = jupyter_client.manager.start_new_kernel(cwd=str(ring.REPOSITORY))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.mark.slow  # two hundred checkpoints
def test_an_interrupted_cell_leaves_a_run_that_resume_continues(tmp_path, kernel):
    """The kernel goes on, and the result has the bytes of a run that nobody interrupted."""
    manager, client = kernel
    root = str(ring.make_root(tmp_path / "root"))
    asked = client.execute(LONG.format(root=root, out=str(tmp_path / "cut")))
    deadline, logged = time.monotonic() + 300, []
    while sum(1 for path in logged for _ in path.open()) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
        logged = list((tmp_path / "cut").rglob("metrics.jsonl"))
    manager.interrupt_kernel()
    replies = iter(lambda: client.get_shell_msg(timeout=300), None)
    reply = next(reply for reply in replies if reply["parent_header"]["msg_id"] == asked)
    assert reply["content"]["ename"] == "Preempted"
    assert f"continue with `jaxrl resume {logged[0].parent}`" in reply["content"]["evalue"]
    cut = RunFolder(logged[0].parent)
    assert cut.status["state"] == "preempted" and len(cut.read_metrics()) < 100
    resumed = answer(client, f"again = api.resume({str(cut.path)!r}, root={root!r}); again")
    assert resumed["status"] == "ok", resumed
    assert answer(client, LONG.format(root=root, out=str(tmp_path / "whole")))["status"] == "ok"
    (whole,) = (path.parent for path in (tmp_path / "whole").rglob("result.npz"))
    assert (whole / "result.npz").read_bytes() == (cut.path / "result.npz").read_bytes()
    one, two = (untimed(RunFolder(path)) for path in (cut.path, whole))
    assert one == two
