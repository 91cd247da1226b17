"""The page of rewards for four rooms: self-contained, refuses bad input, and plans as the library does."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.reward_free import zero_shot_page
from experiments.reward_free.errors import battery_errors
from experiments.reward_free.zero_shot_page import Model, Rooms, render
from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import four_rooms, four_rooms_layout

H = 6


def rooms(**change):
    """The map of 3 x 3 cells with eight states, and one irregular model."""
    P = np.asarray(four_rooms(3).P, np.float64).reshape(-1, 8)
    successors = np.argsort(-P, kind="stable")[:, :4]
    p = np.take_along_axis(P, successors, 1)
    q = p * np.random.default_rng(0).random(p.shape)
    q /= q.sum(-1, keepdims=True)
    fields = {
        "title": "Rooms",
        "layout": four_rooms_layout(3),
        "horizon": H,
        "successors": successors,
        "probabilities": p,
        "models": [Model("a </script>", q, 0.5, 0.7, 0.1, 0.05, np.zeros((H, 8, 4)))],
    }
    return Rooms(**(fields | change))


def data_of(text):
    return json.loads(re.search(r"<script type='application/json' id='data'>(.*?)</script>", text, re.S)[1])


def test_page_holds_its_data_and_asks_for_nothing_else():
    text = render(rooms(record="Ten episodes."))
    data = data_of(text)
    np.testing.assert_allclose(
        data["models"][0]["probabilities"], rooms().models[0].probabilities, atol=1e-11
    )
    assert data["models"][0]["name"] == "a </script>" and data["horizon"] == H
    assert "Ten episodes." in text
    assert "role='grid'" not in text and "<p id='verdict' aria-live='polite'>" in text
    # the name of the markup of pictures is the only address
    assert set(re.findall(r"https?://[^\"'\s)]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(link|img|iframe)|fetch\(|import |eval\(", text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": []}, "models: there is no model"),
        ({"successors": np.zeros((8, 4), int)}, r"successors: must be \[4 S, k\] = \[32, k\]"),
        ({"probabilities": np.full((32, 4), 0.3)}, "^probabilities: must be distributions"),
        (
            {"models": [Model("a", np.zeros((32, 4)), 1.0)]},
            r"models\[0\].probabilities: must be distributions",
        ),
        (
            {"models": [Model("a", np.full((32, 4), 0.25), 1.0, worst=np.zeros(3))]},
            r"models\[0\].worst: must be",
        ),
    ],
)
def test_rooms_that_cannot_be_shown_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        render(rooms(**change))


def in_node(body):
    """What an expression over the page's functions gives, its data being those of `rooms`."""
    script = (Path(zero_shot_page.__file__).parent / "zero_shot_page.js").read_text()
    part = re.search(r"(// ---- planning.*?)// ---- page", script, re.S)[1]
    data = json.dumps(data_of(render(rooms())))
    program = (
        f"const data = {data}, range = k => [...Array(k).keys()];{part}\nconsole.log(JSON.stringify({body}));"
    )
    done = subprocess.run(["node", "-e", program], capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_errors_of_the_page_are_those_of_the_library():
    rng = np.random.default_rng(1)
    rewards = rng.dirichlet(np.full(H, 0.3), 5)[:, :, None, None] * rng.random((5, H, 8, 4))
    body = (
        f"{json.dumps(rewards.reshape(5, H, -1).tolist())}.map(r => {{"
        "const best = plan(data.probabilities, r).values, own = plan(data.models[0].probabilities, r).policy;"
        "return [best[0][0], best[0][0] - evaluate(data.probabilities, r, own)[0][0], total(r),"
        " ...visits(data.probabilities, own).map(d => d.reduce((x, y) => x + y, 0))]; })"
    )
    found = np.array(in_node(body))
    page = rooms()
    tables = []
    for p in (page.probabilities, page.models[0].probabilities):
        table = np.zeros((32, 8))
        np.add.at(table, (np.arange(32)[:, None], page.successors), p)
        tables.append(table.reshape(8, 4, 8))
    with jax.enable_x64(True):
        errors = battery_errors(tables[0], tables[1][None], jax.numpy.asarray(rewards))
    np.testing.assert_allclose(found[:, 1], errors, atol=1e-9)
    assert found[:, 1].max() > 1e-3
    np.testing.assert_allclose(found[:, 2], rewards.max((2, 3)).sum(-1), atol=1e-12)
    np.testing.assert_allclose(found[:, 3:], 1, atol=1e-9)


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_typed_rewards_are_read_or_refused_by_line():
    text = json.dumps("1 1 0.5\n\n3,3 = 0.25 @ 2\n1 3")
    read = in_node(f"parse({text})")
    assert read == {
        "entries": [
            {"state": 0, "amount": 0.5, "stage": None},
            {"state": 7, "amount": 0.25, "stage": 1},
            {"state": 2, "amount": 1, "stage": None},
        ],
        "message": "",
    }
    reward = np.array(in_node(f"rewardOf(parse({text}).entries, 5)")).reshape(H, 8, 4)
    assert reward[5, 0].tolist() == [0.5] * 4 and reward[1, 7].tolist() == [0.25] * 4 and reward.sum() == 7
    spread = np.array(in_node(f"rewardOf(parse({text}).entries, null)")).reshape(H, 8, 4)
    np.testing.assert_allclose(spread[:, 2], 1 / H)
    assert in_node('parse("1 1 2e+3").entries[0].amount') == 2000
    for line, message in (
        ("2 2 1", "Line 1: row 2, column 2 is a wall"),
        ("1 1 x", "Line 1: write row"),
        ("1 1 1 @ 9", "Line 1: the stage must be 1 to 6"),
        ("1 1 1e999", "Line 1: the amount is too large."),
    ):
        assert message in in_node(f"parse({json.dumps(line)}).message")
