"""The benchmark of the oracles at tiny sizes: a row per size, and sweeps that are all made."""

import pytest

from benchmarks.exact import growth
from benchmarks.measure import parse
from jaxrl.core.errors import NumericalFailure
from theory.exact import optimal_control


def test_every_oracle_has_a_row_per_size(capsys):
    growth.main(["--rounds", "1", *growth.COMMANDS[0][2]])
    names = [entry.name for entry in parse(capsys.readouterr().out)]
    assert len(names) == len(set(names)) == 8
    assert "returns of 2^3 policies" in names and "nondominated of 20 points" in names
    assert "programme over visits, 5 states" in names and "sweep of value iteration, 4 states" in names


def test_no_sweep_is_left_out(monkeypatch):
    ended = []

    def refuse(*args, **options):
        ended.append(options["sweeps"])
        raise NumericalFailure("after all sweeps")

    monkeypatch.setattr(optimal_control, "value_iteration", refuse)
    growth.sweeps(3)()
    assert ended == [growth.SWEEPS]
    monkeypatch.undo()
    with pytest.raises(NumericalFailure):
        optimal_control.value_iteration(growth.random_mdps(0, 1, 3, 4)[0], tolerance=-1.0, sweeps=5)
