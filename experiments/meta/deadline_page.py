"""One self-contained page that shows what drifts do over a lifetime, and the cost of a wrong horizon.

A slider for n/N moves the slopes of r A - f, another one the horizon that the rule is told. Beside them stand
returns of fresh lifetimes: told the truth, N/4, 4N, or stopped half-way. It is mailed and opened without a
network.
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

SCALE = 1000  # slopes are shown in units of a thousandth
RANGE = (-4.0, 4.0)  # of slopes that are drawn
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval, None for one lifetime."""

    mean: float
    """The mean over lifetimes."""
    ends: tuple[float, float] | None = None
    """Ends of its interval."""


@dataclass(frozen=True)
class Row:
    """Returns in one situation."""

    name: str
    """What the situation is."""
    told: str
    """Name of the horizon that the rule is told, where it is one of the page's."""
    returns: Interval
    """Returns of fresh lifetimes."""
    change: Interval | None = None
    """Paired difference to another row."""
    against: str = ""
    """Name of that row."""


@dataclass(frozen=True)
class Rule:
    """What is shown of one rule."""

    name: str
    """Name of the rule."""
    slices: Any
    """Entry of `Deadline.slopes` at every horizon told and update, int[T, N]."""
    rows: Sequence[Row]
    """Returns by situation."""
    verdict: str
    """Whether it uses the horizon, one sentence."""


@dataclass(frozen=True)
class Deadline:
    """What a page shows."""

    title: str
    """Heading of the page."""
    record: str
    """Environment, lifetimes and learner, one sentence."""
    horizon: int
    """Number of updates N."""
    told: Sequence[int]
    """Horizons that a rule can be told, int[T], in updates."""
    names: Sequence[str]
    """Their names, one of them N."""
    ratio: Any
    """Ratios of the slopes, float[r], ascending."""
    advantage: Sequence[float]
    """Advantages of the slopes, four at most, one of them 1."""
    slopes: Any
    """d/dr (r A - f), float[K, A, r], for `Rule.slices` to refer to."""
    rules: Sequence[Rule]
    """Rules to choose from."""


def render(deadline: Deadline) -> str:
    """The page as text.

    Raises `UsageError` for shapes that do not agree, slopes that are not finite, no rule, and a page above
    2 MB.
    """
    _check(deadline)
    parts = [
        f"<h1>{page.text(deadline.title)}</h1>",
        f"<p>{page.text(deadline.record)}</p>",
        f"<style>{(_HERE / 'deadline_page.css').read_text()}</style>",
        f"<section>{_controls(deadline)}</section>",
        "<section><div class='cols'><div class='plot'><h2>Slope of r A - f</h2>",
        "<svg id='plot' role='img' aria-label=''></svg>",
        "<p id='where' class='soft' aria-live='polite'></p></div>",
        "<div><h2>Return after the lifetime</h2><svg id='returns' role='img' aria-label=''></svg>",
        "<p id='verdict' aria-live='polite'></p></div></div></section>",
        page.section("Exact numbers", _table()),
        page.section("How to read this", _notes(deadline)),
        f"<script type='application/json' id='data'>{_json(deadline)}</script>",
        f"<script>{(_HERE / 'deadline_page.js').read_text()}</script>",
    ]
    return one_file.render("deadline", deadline.title, parts, "show fewer rules")


def _check(deadline: Deadline) -> None:
    wanted = (len(deadline.advantage), len(deadline.ratio))
    shape = np.shape(deadline.slopes)
    if len(shape) != 3 or shape[1:] != wanted or not np.isfinite(deadline.slopes).all():
        raise UsageError(f"slopes: must be finite numbers [K, {wanted[0]}, {wanted[1]}], got {list(shape)}")
    if not deadline.rules:
        raise UsageError("rules: there is no rule to show")
    if len(deadline.told) != len(deadline.names) or "N" not in deadline.names:
        raise UsageError(f"names: must name every horizon told, one of them N, got {list(deadline.names)}")
    if 1 not in deadline.advantage or len(deadline.advantage) > 4:
        raise UsageError(f"advantage: must be at most 4, one of them 1, got {list(deadline.advantage)}")
    for i, rule in enumerate(deadline.rules):
        slices = np.asarray(rule.slices)
        if slices.shape != (len(deadline.told), deadline.horizon):
            raise UsageError(
                f"rules[{i}].slices: must be [{len(deadline.told)}, {deadline.horizon}], "
                f"got {list(slices.shape)}"
            )
        if slices.min() < 0 or slices.max() >= shape[0]:
            raise UsageError(f"rules[{i}].slices: must lie in 0 .. {shape[0] - 1}")


def _controls(deadline: Deadline) -> str:
    rules = "".join(f"<option value='{i}'>{page.text(r.name)}</option>" for i, r in enumerate(deadline.rules))
    last, truth = deadline.horizon - 1, list(deadline.names).index("N")
    return (
        f"<label><span>rule</span><select id='rule'>{rules}</select></label>"
        "<label><span>updates done, n</span><input type='range' id='n' min='0' "
        f"max='{last}' step='1' value='0'><output id='progress' for='n'></output></label>"
        "<label><span>horizon told</span><input type='range' id='told' min='0' "
        f"max='{len(deadline.told) - 1}' step='1' value='{truth}'>"
        "<output id='horizon' for='told'></output></label>"
    )


def _table() -> str:
    return (
        "<div class='wide'><table><thead><tr><th>situation</th><th>return [95 %]</th>"
        "<th>paired difference [95 %]</th></tr></thead><tbody id='answer'></tbody></table></div>"
    )


def _notes(deadline: Deadline) -> str:
    return (
        f"<p>An agent lives for N = {deadline.horizon} updates and climbs r A - f(r, A), where r is the ratio"
        " of new to old probability and A the advantage. A slope above 0 raises the probability, one below 0"
        " lowers it; where a curve returns to 0 the rule stops moving a ratio, and where it crosses 0 it"
        " pushes the ratio back. Slopes beyond 4 are drawn at the edge. A schedule of learning rate and"
        " entropy bonus, which some rules have, does not show in slopes.</p>"
        "<p>A rule that is told another horizon sees n divided by that number, at most 1. Lifetimes of all"
        " rows have the same keys, so that differences are paired; intervals are Student's t over lifetimes,"
        " and about these rules, not about the methods that found them; whether a rule uses the horizon is"
        " judged at 97.5 % for each of two horizons. A rule stopped at N/2 was told N;"
        " beside it stands the lifetime of N/2 updates that was told so.</p>"
    )


def _json(deadline: Deadline) -> str:
    slopes = np.rint(np.asarray(deadline.slopes, float) * SCALE).astype(int)
    record = {
        "horizon": deadline.horizon,
        "told": list(deadline.told),
        "names": list(deadline.names),
        "ratio": np.round(np.asarray(deadline.ratio, float), 5).tolist(),
        "advantage": list(deadline.advantage),
        "scale": SCALE,
        "slopes": slopes.tolist(),
        "rules": [
            {
                "name": rule.name,
                "slices": np.asarray(rule.slices, int).tolist(),
                "range": _range(np.asarray(deadline.slopes)[np.unique(rule.slices)]),
                "rows": [_row(row) for row in rule.rows],
                "verdict": rule.verdict,
            }
            for rule in deadline.rules
        ],
    }
    # "<" must not end the element, whatever a rule is called
    return json.dumps(record, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _range(slopes: np.ndarray) -> list[float]:
    """Ends of the vertical axis that serve all slopes of a rule, inside RANGE."""
    low, high = np.clip([slopes.min() - 0.25, slopes.max() + 0.25], *RANGE)
    return [float(low), float(high)]


def _row(row: Row) -> dict[str, Any]:
    change = None if row.change is None else _interval(row.change)
    return {
        "name": row.name,
        "told": row.told,
        **_interval(row.returns),
        "change": change,
        "against": row.against,
    }


def _interval(x: Interval) -> dict[str, float | None]:
    low, high = (None, None) if x.ends is None else x.ends
    return {"mean": x.mean, "low": low, "high": high}
