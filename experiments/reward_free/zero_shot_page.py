"""One self-contained page on which a reader writes rewards for four rooms and sees the plans for them.

The page holds the true transitions and the models that explorers left; it plans, evaluates and finds the
optimum itself, so that any reward can be asked for. It is mailed and opened without a network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.shared import one_file
from jaxrl.core.errors import UsageError
from jaxrl.report import page

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Model:
    """What one explorer left."""

    name: str
    """Name of the explorer."""
    probabilities: Any
    """Estimated probabilities of the successors, float[P, k]."""
    upper: float
    """Upper bound on the worst planning error, known because the true transitions are."""
    certificate: float | None = None
    """The explorer's own bound on it, where it has one."""
    c_beta: float | None = None
    """Multiplier of the radius of that certificate."""
    rho: float | None = None
    """Smallest multiplier whose radius covers the run."""
    worst: Any = None
    """Reward float[H, S, A] with the largest planning error that was found, where one was looked for."""


@dataclass(frozen=True)
class Rooms:
    """What a page shows."""

    title: str
    """Heading of the page."""
    layout: tuple[str, ...]
    """Rows of the map, "#" for a wall; states are the free cells by row, the first is the start."""
    horizon: int
    """Number of stages H."""
    successors: Any
    """Successors of the pairs, int[P, k], pair s A + a; actions are up, down, left, right."""
    probabilities: Any
    """Their true probabilities, float[P, k]."""
    models: Sequence[Model]
    """Models that can be planned with."""
    record: str = ""
    """How they were explored, one sentence."""


def render(rooms: Rooms) -> str:
    """The page as text.

    Raises `UsageError` for shapes that do not agree, probabilities that do not sum to 1, no model, and a page
    above 2 MB.
    """
    _check(rooms)
    parts = [
        f"<h1>{page.text(rooms.title)}</h1>",
        f"<p>{page.text(rooms.record)} Rewards are written afterwards, here: nothing is explored again.</p>",
        f"<style>{(_HERE / 'zero_shot_page.css').read_text()}</style>",
        f"<section><div class='cols'><div class='plot'>{_map()}</div>",
        f"<div>{_controls(rooms)}</div></div></section>",
        page.section("What planning makes of it", _answer()),
        page.section("How to read this", _notes(rooms)),
        f"<script type='application/json' id='data'>{_json(rooms)}</script>",
        f"<script>{(_HERE / 'zero_shot_page.js').read_text()}</script>",
    ]
    return one_file.render("rooms", rooms.title, parts, "show fewer models")


def _check(rooms: Rooms) -> None:
    states = sum(cell != "#" for row in rooms.layout for cell in row)
    shape = np.shape(rooms.successors)
    if len(shape) != 2 or shape[0] != 4 * states:
        raise UsageError(f"successors: must be [4 S, k] = [{4 * states}, k], got {list(shape)}")
    if not rooms.models:
        raise UsageError("models: there is no model to plan with")
    for name, p in [
        ("probabilities", rooms.probabilities),
        *((f"models[{i}].probabilities", m.probabilities) for i, m in enumerate(rooms.models)),
    ]:
        p = np.asarray(p, float)
        if p.shape != shape or not np.allclose(p.sum(-1), 1, atol=1e-6) or p.min() < 0:
            raise UsageError(f"{name}: must be distributions {list(shape)}, got shape {list(p.shape)}")
    for i, model in enumerate(rooms.models):
        wanted = (rooms.horizon, states, 4)
        if model.worst is not None and np.shape(model.worst) != wanted:
            raise UsageError(f"models[{i}].worst: must be {list(wanted)}, got {list(np.shape(model.worst))}")


def _map() -> str:
    return (
        "<svg id='map' role='group' aria-label='map: click a cell, or move with the arrow keys and"
        " press Enter, to write or remove its reward'></svg><p id='cell' class='soft' aria-live='polite'></p>"
        "<label><span>stage shown</span><input type='range' id='stage' min='1' step='1' value='1'>"
        "<output id='shown'></output></label>"
    )


def _controls(rooms: Rooms) -> str:
    models = "".join(f"<option value='{i}'>{page.text(m.name)}</option>" for i, m in enumerate(rooms.models))
    return (
        "<h2>Reward</h2><label><span>explorer</span><select id='model'>" + models + "</select></label>"
        "<label><span>paid at</span><select id='when'><option value='last'>the stage below</option>"
        "<option value='all'>every stage, divided by H</option></select></label>"
        f"<label><span>stage</span><input type='number' id='paid' min='1' max='{rooms.horizon}'"
        f" value='{rooms.horizon}'></label>"
        "<label for='text'><span>cells and amounts</span></label>"
        "<textarea id='text' rows='5' spellcheck='false' aria-describedby='how'></textarea>"
        "<p id='how' class='soft'>One line per cell: row, column, amount, and if you wish @ stage,"
        " for example"
        " <code>1 5 0.5 @ 7</code>. Rows and columns count from 1. Clicking a cell writes its line.</p>"
        "<p><button type='button' id='clear'>clear</button>"
        " <button type='button' id='worst'>the adversary's reward</button></p>"
        "<p id='problem' class='note' role='alert'></p>"
        "<label><span>colours show</span><select id='show'>"
        "<option value='reward'>reward</option><option value='planned'>value of the plan</option>"
        "<option value='best'>optimal value</option><option value='lost'>what the plan loses</option>"
        "<option value='visits'>where the plan goes</option></select></label>"
    )


def _answer() -> str:
    return (
        "<div class='wide'><table><tbody id='answer'></tbody></table></div>"
        "<p id='verdict' aria-live='polite'></p>"
    )


def _notes(rooms: Rooms) -> str:
    return (
        f"<p>An episode has H = {rooms.horizon} stages and begins in the cell with a ring. Moves slip with"
        " probability 0.1. Rewards must sum to at most 1 along every trajectory: the largest amounts of the"
        " stages are added up, and all amounts are divided by that sum where it is above 1.</p>"
        "<p>Arrows are the plan of the chosen model at the stage shown. Values are exact under the true"
        " transitions, which the explorer did not know. The adversary's reward is the one with the largest"
        " planning error that alternating linear programmes found for the model; the upper bound holds for"
        " all rewards. A certificate is what the explorer itself can say; it is covered by its radius where"
        " c_beta is at least rho, and may be right or wrong by luck otherwise.</p>"
    )


def _json(rooms: Rooms) -> str:
    record = {
        "layout": list(rooms.layout),
        "horizon": rooms.horizon,
        "successors": np.asarray(rooms.successors, int).tolist(),
        "probabilities": _short(rooms.probabilities, 12),
        "models": [
            {
                "name": m.name,
                "probabilities": _short(m.probabilities, 12),
                "upper": m.upper,
                "certificate": m.certificate,
                "c_beta": m.c_beta,
                "rho": m.rho,
                "worst": None if m.worst is None else _short(m.worst, 12),
            }
            for m in rooms.models
        ],
    }
    # "<" must not end the element, whatever a model is called
    return json.dumps(record, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _short(x: Any, digits: int) -> Any:
    return np.round(np.asarray(x, float), digits).tolist()
