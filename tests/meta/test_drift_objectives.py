"""The study of drifts: tasks that they have never seen, and what is said of them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from experiments.meta import drift_objectives, tasks
from experiments.meta.rules import ARMS, HAND
from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.meta import evolution
from jaxrl.run.folder import RunFolder

PUBLISHED = dict(np.load(Path(drift_objectives.__file__).with_name("results") / "drift_objectives-quick.npz"))
SMOKE, GAMES = (drift_objectives.PRESETS[name] for name in ("smoke", "games"))


def errors(differences):
    """Means of paired differences [..., n], in standard errors."""
    return differences.mean(-1) / (differences.std(-1, ddof=1) / differences.shape[-1] ** 0.5)


def test_the_harness_sees_a_clip_and_drifts_from_nothing_find_a_trust_region():
    """No clip is five standard errors below clip .2, and every plain drift as much above no clip."""
    hand = dict(zip(HAND, PUBLISHED["hand"], strict=True))
    assert errors(hand["PPO, clip 0.2"] - hand["no clip"]) >= 5
    names = [list(ARMS)[i] for i in PUBLISHED["arm"]]
    plain = PUBLISHED["learned"][[names.index("LPO"), names.index("TA-LPO")]]
    assert plain.shape == (2, 2, 96) and (errors(plain - hand["no clip"]) >= 5).all()


def test_horizons_of_tasks_are_their_steps_over_those_of_an_update():
    assert tasks.updates("SpaceInvaders") == 24 and 24 * 64 * 128 <= 200_000 < 25 * 64 * 128
    assert tasks.updates("Breakout") == 122 and tasks.updates("walker2d") == 48
    assert GAMES.updates == 24 and GAMES.hyper.lr == pytest.approx(7e-3)


def test_steps_on_unseen_tasks_are_counted_for_every_rule():
    """Five arms of one seed and nine rules by hand, 16 lifetimes on three games and two bodies."""
    trained = dataclasses.replace(GAMES, unseen=())
    steps = [drift_objectives.estimate(config)["env_steps"] for config in (GAMES, trained)]
    per = 3 * 122 * 64 * 128 + 2 * 48 * 2048 * 10
    assert len(HAND) == 9 and steps[0] - steps[1] == (5 + 9) * 16 * per


def test_scores_of_unseen_tasks_are_paired_with_the_clip_that_is_best_there():
    hand = np.zeros((9, 3))
    hand[list(HAND).index("PPO, clip 0.3")] = [1, 2, 3]
    found = drift_objectives._unseen_scores("Breakout", ["LPO"], np.full((1, 2, 3), 4.0), hand)
    assert found["Breakout, LPO, meta-seed 1, minus PPO with its best clip"].values.tolist() == [3, 2, 1]
    assert found["Breakout, PPO, clip 0.3: return"].values.tolist() == [1, 2, 3]
    assert len(found) == 9 + 2 * 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"unseen": ("Breakout", "Breakout")}, "Config.unseen: must name each task once"),
        ({"unseen_lifetimes": 17}, "Config.unseen_lifetimes: must be a multiple of 16"),
        ({"unseen": ("Pong",)}, "Config.unseen"),
    ],
)
def test_impossible_studies_are_refused(change, says):
    with pytest.raises(UsageError, match=says):
        dataclasses.replace(SMOKE, **change)


@pytest.mark.slow  # compiles lifetimes on two games and a body
def test_drifts_learned_on_a_game_are_judged_on_another_and_on_a_body(tmp_path):
    pytest.importorskip("brax")
    small = ppo.Config(n_envs=2, length=4, epochs=1, minibatches=2, widths=())
    config = dataclasses.replace(
        GAMES,
        learner=small,
        algo=evolution.Config(pairs=2, shaping="difference", selection=0),
        updates=1,
        hidden=4,
        plain=("LPO",),
        refined=(),
        generations=1,
        fresh=2,
        episodes=1,
        situations=0,
        unseen=("Breakout", "hopper"),
        unseen_learner=small,
        unseen_updates=1,
        unseen_lifetimes=2,
    )
    folder = RunFolder.create("meta/drift_objectives", config, tmp_path, "games")
    drift_objectives.run(config, folder)
    result = folder.load_result()
    assert result["unseen"].tolist() == ["Breakout", "hopper"]
    assert result["unseen_learned"].shape == (2, 1, 1, 2) and result["unseen_hand"].shape == (2, 9, 2)
    assert np.isfinite(result["unseen_learned"]).all() and np.isfinite(result["unseen_hand"]).all()
    assert "hopper, LPO, meta-seed 0, minus PPO with its best clip" in drift_objectives.scores(result)
