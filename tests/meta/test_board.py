"""The board: fair choice of the clip, files of one's own, diverged lifetimes, and who is shown to lose."""

import dataclasses

import numpy as np
import pytest

from experiments.meta import board
from jaxrl.core.errors import UsageError
from jaxrl.meta import zoo
from jaxrl.report import tables
from jaxrl.run.folder import RunFolder

SMOKE = board.PRESETS["smoke"]
ARRAYS = {"W1": np.ones((8, 2), np.float32), "w2": np.ones(2, np.float32)}


def played(monkeypatch, config, value):
    """What the run saves where a lifetime returns `value(name, N, tasks)`, without any training."""
    saved = {}

    class Folder:
        @staticmethod
        def save_result(**arrays):
            saved.update(arrays)

    def evaluate(entry, env, horizon, *, tasks, **settings):
        return np.asarray(value(entry.name, horizon, tasks), float)

    monkeypatch.setattr(board, "evaluate_objective", evaluate)
    board.run(config, Folder())
    return {name: np.asarray(x) for name, x in saved.items()}


def test_clip_is_chosen_per_horizon_on_lifetimes_that_are_not_compared(monkeypatch):
    seen = {}
    better = {5: "PPO, clip 0.1", 10: "PPO, clip 0.3"}

    def value(name, N, tasks):
        seen.setdefault(name, set()).add(np.asarray(board.jax.random.key_data(tasks.key)).tobytes())
        fresh = name in SMOKE.rules or len(seen[name]) > 1
        return [3.0, 3.0] if fresh else [2.0 * (name == better[N])] * 2

    result = played(monkeypatch, SMOKE, value)
    np.testing.assert_array_equal(result["best"], [[0.1, 0.3]])
    assert seen["ppo"].isdisjoint(seen["PPO, clip 0.05"])
    assert result["choice"].shape == (1, len(board.CLIPS), 2, 2) and result["choice"].max() == 2
    assert (result["reference"] == 3).all()  # of the fresh lifetimes, not of the choice


def test_files_are_rows_beside_the_zoo_and_taken_names_are_refused(tmp_path, monkeypatch):
    path = zoo.save("mine", "lpo", {"hidden": 2}, ARRAYS, {}, tmp_path)
    config = dataclasses.replace(SMOKE, files=(str(path.with_suffix(".npz")),))
    result = played(monkeypatch, config, lambda name, N, tasks: [1.0 + (name == "mine")] * 2)
    assert result["rule"].tolist() == [*SMOKE.rules, "mine"]
    assert [e.name for e in board.entries(board.Config())] == zoo.names(slot="drift")
    assert result["sha256"][-1] == zoo.read(path).record["sha256"]
    assert board.estimate(config)["members"] == len(result["rule"])
    assert (result["returns"][0, -1] == 2).all() and (result["returns"][0, :-1] == 1).all()
    taken = zoo.save("ta_lpo_cartpole", "lpo", {"hidden": 2}, ARRAYS, {}, tmp_path)
    for files, says in (
        ((str(taken),), "is taken on the board; rename its files"),
        (("none.npz",), "none.json: does not exist"),
    ):
        with pytest.raises(UsageError, match=says):
            board.entries(dataclasses.replace(SMOKE, files=files))


def result_of(returns, reference):
    """Arrays of a board of one environment and one horizon; returns [R, n], reference [n]."""
    R = len(returns)
    return {
        "environment": np.array(["CartPole"]),
        "horizon": np.array([[40]]),
        "rule": np.array([f"rule {i}" for i in range(R)]),
        "returns": np.array(returns, float)[None, :, None],
        "reference": np.array(reference, float)[None, None],
        "best": np.array([[0.2]]),
        "certificate": np.zeros((R, len(board.FACTS))),
        "cpu_s": np.array([[0.25, 0.5]] * R),
    }


def test_losing_rules_are_shown_losing_and_diverged_ones_count_as_the_lowest_return():
    n = 12
    reference = np.arange(n) + 100.0
    scores = board.scores(result_of([reference - 20, reference + 5, [np.nan] * n, reference], reference))
    cell, versus = "CartPole, N = 40", "PPO with its best clip"
    assert [scores[f"rule {i}: of 1 cells, those below {versus}"].values[0] for i in range(4)] == [1, 0, 1, 0]
    assert [scores[f"rule {i}: of 1 cells, those above {versus}"][0] for i in range(4)] == [0, 1, 0, 0]
    beats = [scores[f"{cell}, rule {i}: probability of beating {versus}"] for i in range(4)]
    assert beats[0].values.mean() == 0 and beats[2].values.mean() == 0
    expected = np.mean([[(x > y) + 0.5 * (x == y) for y in reference] for x in reference + 5])
    assert beats[1].values.mean() == pytest.approx(expected) and beats[3].values.mean() == 0.5
    assert beats[1].interval[0] < expected < beats[1].interval[1]
    assert scores[f"{cell}, rule 2: return"].values.mean() == 80  # the lowest return of the environment
    assert scores[f"{cell}, rule 0 minus {versus}"].values.tolist() == [-20] * n
    assert scores["rule 1: CPU seconds per lifetime"].values.mean() == 0.375
    assert all(np.isfinite(tables.rows({k: x})[0].mean) for k, x in scores.items())


def test_picture_says_above_and_below(tmp_path):
    folder = RunFolder.create("meta/board", SMOKE, tmp_path, "smoke")
    reference = np.arange(12) + 100.0
    folder.save_result(**result_of([reference - 20, reference + 5], reference))
    folder.figures.mkdir(exist_ok=True)
    text = next(p for p in board.figure(folder) if p.suffix == ".svg").read_text()
    assert "85.5, below" in text and "110, above" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"environments": ()}, r"Config\.environments: must be at least one, each once, got \(\)"),
        ({"factors": (1.0, 1.0)}, r"Config\.factors: must be at least one, each once"),
        ({"lifetimes": 48}, r"Config\.lifetimes: must be a multiple of Config\.together, 32, got 48"),
        ({"environments": ("CartPol",)}, "CartPol"),
    ],
)
def test_impossible_boards_are_refused(change, says):
    with pytest.raises(UsageError, match=says):
        dataclasses.replace(SMOKE, **change)
