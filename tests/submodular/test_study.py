"""Rows of the studies on maps: each kind of learner reports F of the episodes that it trained on."""

from pathlib import Path

import numpy as np
import pytest

from experiments.submodular import study
from experiments.submodular.problems import LEARNERS, PROBLEMS, Learner, make
from jaxrl.core.errors import UsageError
from jaxrl.report import tables
from jaxrl.run.folder import RunFolder


def test_learners_report_values_of_the_episodes_they_trained_on(tmp_path):
    """Untrained policies of PPO collect about 12 of 21 items on average; paths are walks from the start."""
    config = study.Config(("items",), ("M PPO",), seeds=2, n_envs=8, updates=2)
    folder = RunFolder.create("submodular/study", config, tmp_path, "smoke")
    study.run(config, folder)
    result = folder.load_result()
    value = result["value_0"]
    assert value.shape == (1, 2, 2) and np.all((value > 6) & (value < 18))
    np.testing.assert_allclose(value * 8, np.round(value * 8), atol=1e-3)
    cells = result["cells_0"]
    assert cells.shape == (1, study.SHOWN, 40) and np.all(cells[..., 0] == 34)
    row, column = np.divmod(cells, 15)
    assert np.all(np.abs(np.diff(row, axis=-1)) + np.abs(np.diff(column, axis=-1)) <= 1)
    assert len(np.unique(cells[0], axis=0)) > 1


def test_gain_to_go_is_compared_with_every_other_credit_seed_by_seed():
    """Two seeds that end at 5 and 7 beside 4 and 8, and beside 1 and 1 of ModPO, which is no credit."""
    value = np.array([[[0.0, 5.0], [0.0, 7.0]], [[0.0, 4.0], [0.0, 8.0]], [[0.0, 1.0], [0.0, 1.0]]])
    result = {"problem": np.array(["items"]), "learner": np.array(["M", "M gae", "ModPO"])}
    found = study.scores(result | {"value_0": value, "best_0": np.array([21.0])})
    np.testing.assert_allclose(found["items: M minus M gae"].values, [1, -1])
    assert found["items: M minus M gae"].derived
    assert set(study.CREDITS) < set(LEARNERS)
    assert [k for k in found if "minus" in k and "ModPO" not in k] == ["items: M minus M gae"]


@pytest.mark.parametrize("family", ["submodular", "baselines"])
def test_every_row_is_judged_or_says_why_not(family):
    entries = tables.read_expected(Path(study.__file__).parent.parent / family / "expected.json")
    silent = [e["reason"] for labels in entries.values() for e in labels.values() if e["paper"] is None]
    assert set(silent) <= {"no published value", "other data", "exploratory"}


def test_kinds_of_learners():
    problem, found = PROBLEMS["items"], {}
    for name, learner in LEARNERS.items():
        features, modular, config = learner.static(problem, 4)
        make(config, problem.env(features, modular))
        found[name] = features
    assert found["NM GRU"] == "markov" and found["M PPO"] == "markov_raw"
    with pytest.raises(UsageError, match=r"Learner\.modular"):
        Learner(modular=True, epochs=2)
