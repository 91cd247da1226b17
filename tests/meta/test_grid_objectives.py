"""The study of rules for targets: what devices share, what is saved, and how rows are paired."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from experiments.meta import grid_objectives, levels
from jaxrl.cli import api
from jaxrl.core.errors import UsageError

ROOT = Path(grid_objectives.__file__).parents[2]
PUBLISHED = dict(np.load(Path(grid_objectives.__file__).with_name("results") / "grid_objectives-quick.npz"))


def errors(differences):
    """Means of paired differences [..., n], in standard errors."""
    return differences.mean(-1) / (differences.std(-1, ddof=1) / differences.shape[-1] ** 0.5)


def test_every_evolved_rule_is_five_standard_errors_above_the_start_at_the_longest_horizon():
    at = PUBLISHED["horizon"].tolist().index(50)
    assert PUBLISHED["returns"].shape == (4, 2, 5, 512)
    assert (errors(PUBLISHED["returns"][:, :, at] - PUBLISHED["start"][at]) >= 5).all()


def test_blind_rules_do_not_change_a_bit_when_told_another_horizon_and_scheduled_reinforce_does():
    truth = PUBLISHED["returns"][:, :, PUBLISHED["horizon"].tolist().index(20)]
    change = PUBLISHED["told"] - truth[:, :, None]
    arms = PUBLISHED["arm"].tolist()
    assert not change[[arms.index("REINFORCE"), arms.index("LPG")]].any()
    beyond = np.abs(errors(change[arms.index("scheduled REINFORCE")])) > 3
    assert beyond.any(axis=-1).all()  # for both meta-seeds, of N/4 and 4N at least one


@pytest.mark.slow
def test_a_meta_run_that_two_devices_share_has_the_bits_of_one(tmp_path):
    options = {"root": ROOT, "kinds": ("LPG",), "named": ("dense",), "horizons": (2, 4)}
    found = [
        api.run("meta/grid_objectives", "smoke", out=tmp_path / str(work), work=work, **options).load_result()
        for work in (1, 2)
    ]
    assert np.abs(found[0]["LPG"]).max() > 0  # it moved
    assert found[0]["named"].tolist() == ["dense"] and found[0]["on_named"].shape == (1, 2, 2, 8)
    assert "dense, TA-LPG, meta-seed 1: return" in grid_objectives.scores(found[0])
    for name, array in found[0].items():
        assert array.tobytes() == found[1][name].tobytes(), name


def test_differences_are_paired_by_level_and_meta_seed():
    rng, names = np.random.default_rng(0), list(levels.ARMS)
    returns = rng.normal(size=(4, 2, 2, 8))
    result = {
        "arm": np.array(names),
        "horizon": np.array([5, 20]),
        "counterfactual": np.array(20),
        "returns": returns,
        "told": returns[:, :, :2] - 0.5,
        "start": np.zeros((2, 8)),
    }
    found = grid_objectives.scores(result)
    first, second = names.index("TA-LPG"), names.index("LPG")
    difference = found["TA-LPG minus LPG, N = 20, meta-seed 1"].values
    np.testing.assert_array_equal(difference, returns[first, 1, 1] - returns[second, 1, 1])
    told = found["TA-LPG told 4N at N = 20, meta-seed 0: change of the return"].values
    np.testing.assert_allclose(told, returns[first, 0, 1] - 0.5 - returns[first, 0, 1])


def test_a_generation_has_the_mean_of_the_log_uniform_horizons():
    config = levels.OnLevels(horizons=(5, 50))
    assert config.steps_per_generation(32) == int(64 * 45 / np.log(10) * 8 * 20)
    assert levels.OnLevels(horizons=(7, 7)).steps_per_generation(1) == 2 * 7 * 160


def test_published_levels_are_those_of_the_paper_and_each_is_named_once():
    paper = grid_objectives.PRESETS["paper"]
    assert paper.named == ("dense", "sparse", "long", "longer", "long_dense", "mazes")
    assert levels.environment("dense").time_limit(levels.environment("dense").default_params()) == 500
    with pytest.raises(UsageError, match=r"Config\.named: must name each level once"):
        dataclasses.replace(paper, named=("dense", "dense"))
