"""The benchmark of hypervolumes at a tiny size: all sides compute the same number; no test asserts a time."""

import sys

import numpy as np
import pytest

from benchmarks.measure import parse
from benchmarks.morl import environments, hypervolume
from jaxrl.core.errors import MissingExtra


def test_sides_agree_and_every_size_has_its_rows(capsys):
    pytest.importorskip("pymoo")
    values = [float(call()) for call in hypervolume.sides(8, 3).values()]
    np.testing.assert_allclose(values, values[-1], rtol=1e-5)
    hypervolume.main(["--points", "8", "--objectives", "2", "--rounds", "1"])
    entries = parse(capsys.readouterr().out)
    assert [e.name.split(": ")[1] for e in entries] == [
        "host", "compiled", "pymoo", "host / pymoo", "compiled / pymoo",
    ]  # fmt: skip
    assert all(e.value > 0 for e in entries[:3]) and entries[3].ceiling == 3


def test_missing_peers_are_told_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymoo.indicators.hv", None)
    with pytest.raises(MissingExtra, match=r"pymoo is not installed; run: pip install 'jaxrl\[dev\]'"):
        hypervolume.sides(8, 2)
    monkeypatch.setattr(environments, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"mo-gymnasium is not installed; run: pip install"):
        environments.compare("Minecart", 1, 1, 1)
