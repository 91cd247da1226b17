"""Counts of divergence, and how many episodes imitation asks its suites for."""

import dataclasses

import numpy as np
import pytest

from experiments.data import recipes
from experiments.dual_rl import divergence, imitation
from jaxrl.core.errors import UsageError


def test_a_run_counts_as_diverged_beyond_the_limit_or_where_it_is_not_finite():
    result = {
        "task": np.array(["t"]),
        "method": np.array(["XQL"]),
        "scale": np.array([1.85]),
        "limit": np.array(2.0),
        "peak": np.array([[[[0.5, 2.0, 2.1, np.inf]]]]),
    }
    (score,) = divergence.scores(result).values()
    np.testing.assert_array_equal(score.values, [0, 0, 1, 1])
    assert score.note == "2 of 4 diverged" and score.better == "less"
    # of four runs two: the ends solve P(X >= 2) = .025 and P(X <= 2) = .025
    assert score.interval == pytest.approx((0.06759, 0.93241), abs=1e-5)


@pytest.mark.parametrize(
    ("scale", "suite", "episodes", "random"),
    [(1.0, "pendulum", 100, None), (2.0, "pendulum", 200, None), (3.0, "hopper-noisy", 150, 6000)],
)
def test_larger_suites_are_made_where_more_episodes_are_asked_for(
    monkeypatch, scale, suite, episodes, random
):
    asked = []
    monkeypatch.setattr(recipes, "suite", lambda name, seed, recipe: asked.append((name, recipe)))
    config = dataclasses.replace(imitation.PRESETS["paper"], suite=suite, scale=scale)
    imitation._recorded(config, "expert")
    ((name, recipe),) = asked
    assert name == f"{suite}-expert" and recipe.episodes == episodes
    assert getattr(recipe, "random_episodes", None) == random


def test_the_script_has_no_hopper():
    with pytest.raises(UsageError, match=r"^scripted: there is no script for hopper-noisy"):
        imitation.Config(suite="hopper-noisy", scripted=True)
