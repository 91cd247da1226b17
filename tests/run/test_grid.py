"""Grids: combinations, labels, and what is refused before anything is trained."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from jaxrl.core.errors import UsageError
from jaxrl.run import catalogue
from jaxrl.run.config import replace_at
from jaxrl.run.grid import check_grid, expand, labels
from jaxrl.run.sweep import _labels, sweep
from tests.run import toy

ROOT = Path(__file__).parents[2]


def member(config):
    return config.algo, config.hyper


@dataclass(frozen=True)
class Config:
    algo: toy.Config = field(default_factory=toy.Config)
    hyper: toy.Hyper = field(default_factory=toy.Hyper)
    updates: int = 4
    grid: dict = field(default_factory=dict)

    def __post_init__(self):
        check_grid(self, self.grid, member)


def test_expand_is_the_product_with_the_last_path_fastest():
    points = expand(Config(), {"algo.width": (0, 4), "hyper.lr": (1, 0.5)})
    assert [(p.algo.width, p.hyper.lr) for p in points] == [(0, 1.0), (0, 0.5), (4, 1.0), (4, 0.5)]
    assert isinstance(points[0].hyper.lr, float)
    assert expand(Config(), {}) == [Config()]


@pytest.mark.parametrize(
    ("grid", "sentence"),
    [
        (
            {"updates": (4, 8)},
            "grid: updates: changes nothing that is trained; set it for all rows, --upd",
        ),
        ({"updates": (8,)}, "grid: updates: changes nothing"),
        ({"hyper.lr": (1e-2, 0.01)}, r"grid: hyper\.lr: 0\.01 is given twice"),
        ({"hyper.lr": (0.1, 0.1 + 1e-12)}, r"grid: hyper\.lr: 0\.1 and 0\.1000\d+ are equal in float32"),
        ({"hyper.lr": ()}, r"grid: hyper\.lr has no values"),
        ({"hyper.lr": 0.1}, r"grid: hyper\.lr: must be a list of values, got 0\.1"),
        ({"hyper.rl": (0.1,)}, r"hyper\.rl: no field 'rl'; did you mean 'lr'"),
    ],
)
def test_grids_that_are_refused_at_construction(grid, sentence):
    with pytest.raises(UsageError, match=sentence):
        Config(grid=grid)


def test_a_single_value_is_a_grid_and_one_that_the_configuration_has_is_harmless():
    assert Config(grid={"hyper.lr": (0.5,)}).grid == {"hyper.lr": (0.5,)}
    assert Config(grid={"updates": (4,)}).grid == {"updates": (4,)}


def test_labels_tell_points_apart():
    assert labels({"hyper.gamma": (0.9999999, 0.9999998)}) == ["gamma 0.9999999", "gamma 0.9999998"]
    assert labels({"hyper.lr": (1e-3,), "algo.width": (0, 4)}) == ["lr 0.001, width 0", "lr 0.001, width 4"]
    assert labels({"actor.lr": (0.1,), "critic.lr": (0.1,)}) == ["actor.lr 0.1, critic.lr 0.1"]
    assert labels({}) == ["default"]
    hypers = [toy.Hyper(gamma=0.9999999), toy.Hyper(gamma=0.9999998)]
    assert _labels(hypers, 1) == ["seed 0 (gamma=0.9999999)", "seed 0 (gamma=0.9999998)"]


class Recorded(Exception):
    pass


def swept_experiments():
    return [e.name for e in catalogue.find(ROOT) if _has_grid(catalogue.load(ROOT, e.name))]


def _has_grid(module):
    return "grid" in getattr(module.Config, "__dataclass_fields__", {})


def other_value(value: Any) -> Any:
    """Another value of the same type, likely to be allowed."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else 0.5 * value + 1e-3


def scalar_fields(config: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found = []
    for name in config.__dataclass_fields__:
        value = getattr(config, name)
        if hasattr(value, "__dataclass_fields__"):
            found += scalar_fields(value, f"{prefix}{name}.")
        elif isinstance(value, bool | int | float):
            found.append((prefix + name, value))
    return found


@pytest.mark.parametrize("name", swept_experiments())
def test_every_field_in_a_grid_changes_what_its_rows_train_or_is_refused(name, monkeypatch):
    """Two values of every number of the configuration as a grid, for every experiment that has one."""
    module = catalogue.load(ROOT, name)

    def record(make, members, **options):
        raise Recorded(members)

    for other in list(sys.modules.values()):
        if getattr(other, "sweep", None) is sweep and "experiments" in other.__name__:
            monkeypatch.setattr(other, "sweep", record)
    base = replace_at(next(iter(module.PRESETS.values())), {"grid": {}})
    refused, trained = [], []
    for path, value in scalar_fields(base):
        try:
            replace_at(base, {path: other_value(value)})
        except UsageError:
            continue  # no value of this field, which is another refusal
        try:
            config = replace_at(base, {"grid": {path: (value, other_value(value))}})
        except UsageError as error:
            assert str(error).startswith(f"grid: {path}: "), error
            refused.append(path)
            continue
        with pytest.raises(Recorded) as found:
            module.run(config, None)
        (members,) = found.value.args
        assert len(members) == 2 and members[0] != members[1], path
        trained.append(path)
    assert {"updates", "seeds", "seed"} <= set(refused)
    assert "hyper.lr" in trained
