"""The table of methods: which file trains a row, and which parameters a row refuses."""

from typing import get_args

import pytest

from jaxrl.core.errors import UsageError
from jaxrl.dual_rl import dual_q, dual_v, implicit, recoil
from jaxrl.dual_rl.methods import METHODS, check_parameter, method


def test_the_choices_of_every_file_are_its_rows():
    """A row of the table is trained by the file that names it, and only the exact form of ReCOIL by none."""
    choices = {file: get_args(module.Name) for file, module in FILES.items()} | {"recoil": (recoil.NAME,)}
    rows = {file: [name for name, row in METHODS.items() if row.file == file] for file in (*choices, None)}
    assert {file: set(rows[file]) for file in choices} == {file: set(x) for file, x in choices.items()}
    assert rows[None] == ["ReCOIL"]


FILES = {"implicit": implicit, "dual_v": dual_v, "dual_q": dual_q}


def test_rows_know_their_divergence():
    assert method("f-DVL tv").generator.key == "tv" and method("SMODICE").normalised
    assert method("ReCOIL released").released and not method("ReCOIL-Q").released
    with pytest.raises(UsageError, match="IQL belongs to no divergence"):
        _ = method("IQL").generator


@pytest.mark.parametrize("row", METHODS.values(), ids=list(METHODS))
def test_defaults_are_admissible(row):
    check_parameter(row, row.parameter)


@pytest.mark.parametrize(
    ("name", "value"), [("f-DVL chi2", 1.0), ("f-DVL tv", 0.5), ("IQL", 0.0), ("XQL", 0.0), ("ReCOIL-Q", 1.0)]
)
def test_degenerate_parameters_are_refused(name, value):
    with pytest.raises(UsageError, match=r"lambda_|parameter: the|beta"):
        check_parameter(method(name), value)
