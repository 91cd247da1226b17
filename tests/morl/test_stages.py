"""What both stages of an experiment say about their learners, runs and members."""

import numpy as np

from experiments.morl import stages
from jaxrl.run.train import Trained


def test_learners_that_diverged_are_named_by_what_they_train_for():
    none, third = np.array([-1, -1]), np.array([-1, 3])
    trained = Trained({}, {}, np.zeros(0, int), {"loss/0": none, "loss/1": third, "members": none})
    lines = stages.diverged(trained, ["preference [1.0, 0.0]", "preference [0.0, 1.0]"])
    assert lines == ["member 1: preference [0.0, 1.0] diverged at update 3"]


def test_arrows_are_those_of_live_runs_and_look_at_constrained_objectives_alone():
    # two starts of two objectives in one round: runs (start 0, l = 0), (start 0, l = 1), and padding
    start = np.zeros((1, 4, 2))
    end = np.array([[[5.0, 0.5], [0.5, 5.0], [1.0, 1.0], [1.0, 1.0]]])
    threshold = np.array([[[9.0, 1.0], [0.0, 9.0], [0.0, 0.0], [0.0, 0.0]]])
    found = stages.arrows(start, end, threshold, np.array([[True, True, False, False]]))
    np.testing.assert_array_equal(found["ends"], end[0, :2])
    assert found["feasible"].tolist() == [False, True]
    assert found["extended"].tolist() == [0, 1]


def test_only_the_barrier_has_a_variant_per_sharpness_and_all_have_one_per_retained_share():
    found = stages.variants(("barrier", "none"), (20.0, 100.0), (0.9,))
    assert found == {
        "barrier": {"barrier, t = 20": (20.0, 0.9), "barrier, t = 100": (100.0, 0.9)},
        "none": {"none": (20.0, 0.9)},
    }
    found = stages.variants(("barrier", "cpo"), (20.0,), (0.5, 0.9))
    assert found == {
        "barrier": {"barrier, t = 20, beta = 0.5": (20.0, 0.5), "barrier, t = 20, beta = 0.9": (20.0, 0.9)},
        "cpo": {"cpo, beta = 0.5": (20.0, 0.5), "cpo, beta = 0.9": (20.0, 0.9)},
    }


def test_sets_of_different_sizes_are_padded_and_marked():
    found = stages.padded([[np.ones((2, 3)), np.ones((1, 3))]], 4)
    assert found["returns"].shape == (1, 2, 4, 3)
    assert found["valid"].tolist() == [[[True, True, False, False], [True, False, False, False]]]
    assert found["returns"].sum() == 9
