"""A run in a notebook: what it shows of itself, and its curves."""

import numpy as np

from jaxrl.cli import api


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
