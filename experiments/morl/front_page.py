"""One self-contained page of a set of vector returns, to be mailed and opened without a network.

A reader moves sliders for a preference, or states bounds, and sees the policy or the mixture of policies that
is served; two objectives are drawn in the plane, three as a body to turn, more as parallel coordinates.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from experiments.shared import one_file
from jaxrl.core.errors import UsageError
from jaxrl.report import page

_HERE = Path(__file__).parent

_ARROW = (
    "<marker id='{0}' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='6' markerHeight='6' orient='auto'>"
    "<path d='M0 0L8 4L0 8z' fill='{1}'/></marker>"
)


@dataclass(frozen=True)
class Rollouts:
    """Ways of the policies through a picture, one per policy."""

    width: float
    """Width of the picture, in the units of the ways."""
    height: float
    """Height of the picture, in the units of the ways."""
    paths: list[Any]
    """Ways of the policies, float[T, 2] each: column and row in the picture, step by step."""
    background: str | None = None
    """The picture as a data address, as `jaxrl.report.page.embed` makes it."""
    caption: str = "One episode of the policy that is served."
    """What the reader sees."""


@dataclass(frozen=True)
class Curves:
    """Curves over time of every policy, in panels one below the other."""

    panels: tuple[tuple[str, tuple[str, ...]], ...]
    """Per panel its vertical axis and the names of its curves."""
    values: list[Any]
    """Per policy float[T, k], the curves of all panels one after the other."""
    across: str = "step"
    """What the horizontal axis counts, from 1 on."""
    caption: str = "One episode of the policy that is served."
    """What the reader sees."""


@dataclass(frozen=True)
class Front:
    """What a page shows."""

    title: str
    """Heading of the page."""
    objectives: tuple[str, ...]
    """Names of the objectives."""
    returns: Any
    """Vector returns of the policies, float[n, m], all maximised."""
    reference: Any
    """Reference point float[m], below which nothing counts."""
    record: dict[str, Any] = field(default_factory=dict)
    """Task record: discount, horizon and evaluation, without which the returns mean nothing."""
    exact: Any = None
    """Exact returns of the deterministic policies that none of them dominates, float[k, m], where known."""
    starts: Any = None
    """Returns of the policies from which extensions started, float[e, m]."""
    ends: Any = None
    """Returns of the policies at which they ended, float[e, m]."""
    feasible: Any = None
    """Whether the end of an extension keeps its constraints, bool[e]."""
    extended: Any = None
    """Objective that an extension raises, int[e]; needed with extensions of more than three objectives."""
    rollouts: Rollouts | Curves | None = None
    """An episode of every policy, where it can be drawn."""


def render(front: Front) -> str:
    """The page as text.

    Raises `UsageError` for shapes that do not agree, numbers that are not finite, a single objective, and a
    page above 2 MB.
    """
    _check(front)
    parts = [
        f"<h1>{page.text(front.title)}</h1>",
        f"<p>{_sentence(front)}</p>",
        f"<style>{(_HERE / 'front_page.css').read_text()}</style>",
        f"<section><div class='cols'><div class='plot'>{_plot(front)}</div>",
        f"<div>{_controls(front)}</div></div></section>",
        _rollout(front.rollouts),
        page.section(
            "Exact numbers", page.details(f"returns of {len(front.returns)} policies", _table(front))
        ),
        f"<script type='application/json' id='data'>{_json(front)}</script>",
        f"<script>{(_HERE / 'front_page.js').read_text()}</script>",
    ]
    return one_file.render("front", front.title, parts, "leave the rollouts out, or show fewer policies")


def _check(front: Front) -> None:
    m = len(front.objectives)
    if m < 2:
        raise UsageError(f"objectives: a front needs 2 or more, got {m}")
    for name in ("returns", "exact", "starts", "ends"):
        value = getattr(front, name)
        if value is None:
            continue
        value = np.asarray(value, float)
        if value.ndim != 2 or value.shape[1] != m or not np.isfinite(value).all():
            raise UsageError(f"{name}: must be finite numbers [n, {m}], got shape {list(value.shape)}")
    if not len(front.returns):
        raise UsageError("returns: there is no policy to show")
    if np.shape(front.reference) != (m,):
        raise UsageError(f"reference: must be [{m}], got {list(np.shape(front.reference))}")
    lengths = [0 if x is None else len(x) for x in (front.starts, front.ends, front.feasible)]
    if len(set(lengths)) > 1:
        raise UsageError(f"starts, ends, feasible: must have one length, got {lengths}")
    if front.starts is not None and (m > 3 or front.extended is not None):
        _check_extended(front.extended, lengths[0], m)
    _check_rollouts(front.rollouts, len(front.returns))


def _check_extended(extended: Any, n: int, m: int) -> None:
    if extended is None or np.shape(extended) != (n,) or not np.isin(extended, np.arange(m)).all():
        raise UsageError(f"extended: must hold an objective of 0 to {m - 1} for each of the {n} extensions")


def _check_rollouts(rollouts: Rollouts | Curves | None, n: int) -> None:
    if isinstance(rollouts, Rollouts) and len(rollouts.paths) != n:
        raise UsageError(f"rollouts.paths: has {len(rollouts.paths)} ways for {n} policies")
    if isinstance(rollouts, Curves):
        if len(rollouts.values) != n:
            raise UsageError(f"rollouts.values: has curves of {len(rollouts.values)} policies for {n}")
        k = sum(len(names) for _, names in rollouts.panels)
        for i, x in enumerate(rollouts.values):
            if np.ndim(x) != 2 or np.shape(x)[1] != k or not np.isfinite(x).all():
                raise UsageError(f"rollouts.values[{i}]: must be finite numbers [T, {k}], got {np.shape(x)}")


def _sentence(front: Front) -> str:
    record = ", ".join(f"{k} {v}" for k, v in front.record.items())
    text = f"{len(front.returns)} policies, all objectives maximised."
    return page.text(f"{text} {record[:1].upper()}{record[1:]}." if record else text)


def _plot(front: Front) -> str:
    m = len(front.objectives)
    markers = _ARROW.format("kept", "#009e73") + _ARROW.format("broken", "#cc79a7")
    turn = _slider("turn", "turn", -3.14, 3.14, 0.7) + _slider("tilt", "tilt", -1.5, 1.5, 0.45)
    legend = "Blue: policies. Orange: what is served."
    if front.exact is not None:
        mark = "circles" if m <= 3 else "lines"
        legend += f" Green {mark}: exact returns of deterministic policies."
    if front.exact is not None and m == 2:
        legend += " Dashed: what mixtures of them reach."
    if front.starts is not None:
        legend += " Arrows: extensions, green where the constraints hold at their end, pink where not"
        legend += "." if m <= 3 else "; each on the axis of the objective that it raises."
    if front.starts is not None and m <= 3:
        legend += " They are cut at the frame."
    legend += " Arrow keys go from policy to policy."
    hidden = "" if front.starts is not None else " hidden"
    return (
        "<svg id='plot' viewBox='0 0 720 520' role='group' aria-label='returns of the policies'>"
        f"<defs>{markers}<clipPath id='frame'></clipPath></defs></svg>"
        f"<p class='soft'>{legend}</p>{turn if m == 3 else ''}"
        f"<label{hidden}><input type='checkbox' id='arrows' checked> show extensions</label>"
    )


def _controls(front: Front) -> str:
    names = [page.text(name) for name in front.objectives]
    sliders = "".join(_slider(f"w{j}", name, 0, 1, 0.5) for j, name in enumerate(names))
    options = "".join(f"<option value='{j}'>{name}</option>" for j, name in enumerate(names))
    bounds = "".join(
        f"<label><span>{name} at least</span><input type='text' inputmode='decimal' id='d{j}'></label>"
        for j, name in enumerate(names)
    )
    return (
        f"<h2>Preference</h2>{sliders}"
        "<p aria-live='polite'><b id='served'></b><br><span id='utility' class='soft'></span></p>"
        "<table><thead><tr><th>objective</th><th>return</th><th>weight</th></tr></thead>"
        "<tbody id='values'></tbody></table><h2 class='next'>Bounds</h2>"
        f"<form id='ask'><label><span>best of</span><select id='best'>{options}</select></label>"
        f"{bounds}<button>find a policy or mixture</button></form><p id='answer' aria-live='polite'></p>"
    )


def _slider(name: str, label: str, low: float, high: float, value: float) -> str:
    return (
        f"<label><span>{label}</span>"
        f"<input type='range' id='{name}' min='{low}' max='{high}' step='0.01' value='{value}'></label>"
    )


def _rollout(rollouts: Rollouts | Curves | None) -> str:
    caption, moving = page.text(rollouts.caption) if rollouts else "", isinstance(rollouts, Rollouts)
    return (
        f"<section id='rollout'><h2>Rollout</h2><p class='soft'>{caption}</p>"
        "<svg id='film' viewBox='0 0 1 1'></svg>"
        "<p id='step' class='soft'></p>"
        f"<button id='again' type='button'{'' if moving else ' hidden'}>play again</button></section>"
    )


def _table(front: Front) -> str:
    lines = [(str(i), *(f"{x:.6g}" for x in row)) for i, row in enumerate(np.asarray(front.returns, float))]
    return page.table(
        ("policy", *map(page.text, front.objectives)),
        lines,
        numeric=tuple(range(1, 1 + len(front.objectives))),
    )


def _json(front: Front) -> str:
    arrows = []
    if front.starts is not None:
        arrows = [
            {"start": _short(a), "end": _short(b), "feasible": bool(f)}
            for a, b, f in zip(np.asarray(front.starts), np.asarray(front.ends), front.feasible, strict=True)
        ]
    if front.extended is not None:
        arrows = [a | {"objective": int(j)} for a, j in zip(arrows, front.extended, strict=True)]
    record = {
        "objectives": list(front.objectives),
        "returns": [_short(row) for row in np.asarray(front.returns, float)],
        "reference": _short(np.asarray(front.reference, float)),
        "front": None if front.exact is None else [_short(row) for row in np.asarray(front.exact, float)],
        "arrows": arrows,
        "rollouts": _film(front.rollouts),
    }
    # "<" must not end the element, whatever an objective is called
    return json.dumps(record, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _film(rollouts: Rollouts | Curves | None) -> dict[str, Any] | None:
    """The rollouts as the page reads them."""
    if rollouts is None:
        return None
    if isinstance(rollouts, Curves):
        values = [[_short(row, 4) for row in np.asarray(x, float)] for x in rollouts.values]
        return {"panels": rollouts.panels, "values": values, "across": rollouts.across}
    paths = [[_short(p, 5) for p in np.asarray(path, float)] for path in rollouts.paths]
    size = {"width": rollouts.width, "height": rollouts.height}
    return size | {"background": rollouts.background, "paths": paths}


def _short(row: np.ndarray, digits: int = 7) -> list[float]:
    return [float(f"{x:.{digits}g}") for x in row]
