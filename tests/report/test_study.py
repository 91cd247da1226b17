"""A study of one algorithm: its arrays, its scores and its curves are those of the members."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.report import study
from jaxrl.run.folder import RunFolder
from tests.run import toy


@dataclass(frozen=True)
class Config(study.Config):
    """How the ring is learned."""

    algo: toy.Config = field(default_factory=toy.Config)
    """Static choices."""
    hyper: toy.Hyper = field(default_factory=toy.Hyper)
    """Hyper-parameters."""


CONFIG = Config(grid={"hyper.lr": (0.1, 0.3)}, seeds=2, updates=6)


def run(config, folder, quantity="eval/value"):
    options = {"evaluate": lambda algo: toy.evaluate, "eval_every": 3, "log_every": 1, "progress": False}
    study.run(config, folder, toy.make, toy.data(), quantity, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = RunFolder.create("toy/study", CONFIG, tmp_path_factory.mktemp("study"), "smoke")
    run(CONFIG, folder)
    return folder


def test_values_stand_by_point_seed_and_evaluation(folder):
    result = folder.load_result()
    assert result["value"].shape == (2, 2, 2) and result["update"].tolist() == [3, 6]
    assert result["point"].tolist() == ["lr 0.1", "lr 0.3"] and not result["diverged"].any()
    assert np.isfinite(result["value"]).all() and len(np.unique(result["value"])) > 2
    scores = study.scores(result)
    np.testing.assert_array_equal(scores["lr 0.3"], result["value"][1, :, -1])


def test_a_member_that_diverged_has_no_score():
    result = {
        "value": np.ones((1, 2, 3)),
        "diverged": np.array([[False, True]]),
        "point": np.array(["default"]),
    }
    np.testing.assert_array_equal(study.scores(result)["default"], [1, np.nan])


def test_members_without_a_finite_value_are_no_curve(tmp_path):
    result = {
        "value": np.full((2, 2, 3), np.nan),
        "update": np.arange(3),
        "point": np.array(["a", "b"]),
        "quantity": np.array("loss"),
        "diverged": np.ones((2, 2), bool),
    }
    result["value"][1] = 1.0
    folder = SimpleNamespace(load_result=lambda: result, figures=tmp_path)
    assert study.figure(folder)
    result["value"][:] = np.nan
    assert study.figure(folder) and np.isnan(study.scores(result)["a"]).all()


def test_the_figure_has_a_curve_per_point(folder):
    paths = study.figure(folder)
    assert paths and all(path.stat().st_size > 1000 for path in paths)


def test_an_unknown_quantity_and_a_config_without_hyper_are_refused(folder, tmp_path):
    config = Config(seeds=1, updates=1)
    other = RunFolder.create("toy/study", config, tmp_path, "smoke")
    with pytest.raises(UsageError, match="no metric 'regret'; logged are"):
        run(config, other, "regret")
    with pytest.raises(UsageError, match="has no field hyper"):
        study.Config()


def test_a_grid_over_what_changes_nothing_is_refused():
    with pytest.raises(UsageError, match="grid: seed: changes nothing"):
        Config(grid={"seed": (0, 1)})
