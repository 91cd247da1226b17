"""Fields by dotted path: replaced, checked, no longer swept."""

import dataclasses

import numpy as np
import pytest

from jaxrl.cli import overrides
from jaxrl.core.errors import UsageError
from jaxrl.run import catalogue


def test_override_replaces_nested_fields_and_names_the_nearest(root):
    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    changed = overrides.override(config, {"hyper.lr": 0.5, "seeds": 7})
    assert (changed.hyper.lr, changed.seeds, changed.hyper.gamma) == (0.5, 7, 0.9)
    assert (config.hyper.lr, config.seeds) == (0.1, 2)
    with pytest.raises(UsageError, match=r"unknown field 'hyper.lrr'; nearest: hyper.lr"):
        overrides.override(config, {"hyper.lrr": 1.0})
    with pytest.raises(UsageError, match="seeds: must be >= 1, got 0"):
        overrides.override(config, {"seeds": 0})


def test_a_field_that_is_set_is_no_longer_swept(root):
    config = catalogue.load(root, "toy/ring").PRESETS["quick"]
    assert config.grid == {"hyper.lr": (0.1, 0.2)}
    both = overrides.override(config, {"grid": {"hyper.lr": (1.0, 2.0), "seeds": [1, 2]}})
    assert both.grid == {"hyper.lr": (1.0, 2.0), "seeds": (1, 2)}
    assert overrides.override(both, {"hyper.lr": 0.5}).grid == {"seeds": (1, 2)}
    assert overrides.override(both, {"hyper": config.hyper}).grid == {"seeds": (1, 2)}
    assert overrides.override(both, {"hyper.gamma": 0.5}).grid == both.grid
    with pytest.raises(UsageError, match=r"hyper\.lr: is set, and swept by the grid \(hyper\.lr\)"):
        overrides.override(config, {"grid": {"hyper.lr": (1.0,)}, "hyper.lr": 0.5})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"grid": {"hyper.lr": 1e-3}}, r"Config\.grid\['hyper\.lr'\]: must be a tuple, got 0\.001"),
        ({"updates": "4"}, r"Config\.updates: must be an int, got '4'"),
        ({"algo.width": [8]}, r"Config\.width: must be an int, got \[8\]"),
        ({"hyper.gamma": 1.5}, r"Hyper\.gamma: must be in \[0, 1\), got 1\.5"),
        ({"seed": 2**32}, r"Config\.seed: must be in \[0, 4294967296\)"),
    ],
)
def test_values_of_another_type_are_refused_by_field(root, fields, words):
    with pytest.raises(UsageError, match=words):
        overrides.override(catalogue.load(root, "toy/ring").PRESETS["smoke"], fields)


def test_lists_become_tuples_and_scalars_of_arrays_numbers():
    @dataclasses.dataclass(frozen=True)
    class Config:
        widths: tuple[int, ...] = ()
        rate: float = 0.0

    changed = overrides.override(Config(), {"widths": [8, 8], "rate": np.float32(0.5)})
    assert (changed.widths, changed.rate, type(changed.rate)) == ((8, 8), 0.5, float)
