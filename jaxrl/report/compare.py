"""Runs beside each other: scores with intervals, probability of improvement, curves, configurations.

Runs go by letters, A the first. What is compared are the rows of an experiment's `scores` that two runs
share; two runs that have one row each, as a run without a grid has, are compared in it whatever its label.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.report import curves, page, statistics, tables
from jaxrl.report.tables import Score
from jaxrl.run.config import differences
from jaxrl.run.folder import RunFolder

MOST = 26
"""Runs that can be compared at once, one a letter."""
PANELS = 8
"""Curves that are shown: returns first, then by name."""


class Compared(NamedTuple):
    """One of the runs: its letter, its folder, and the rows of its table by label."""

    letter: str
    folder: RunFolder
    scores: dict[str, Score]


def read(runs: Sequence[tuple[RunFolder, ModuleType | None]]) -> list[Compared]:
    """Reads what is compared; `UsageError` for fewer than two runs, or more than there are letters."""
    if not 2 <= len(runs) <= MOST:
        raise UsageError(f"compare: takes 2 to {MOST} runs, got {len(runs)}")
    return [
        Compared(letter, folder, tables.run_scores(module, folder))
        for letter, (folder, module) in zip(string.ascii_uppercase, runs, strict=False)
    ]


def document(runs: Sequence[Compared]) -> dict[str, Any]:
    """The comparison as JSON values: runs, scores, improvements, differences, curves."""
    return {
        "runs": [
            {
                "name": run.letter,
                "run": str(run.folder.path),
                "experiment": run.folder.experiment,
                "preset": run.folder.preset,
                "state": run.folder.state,
            }
            for run in runs
        ],
        "scores": [
            {"run": run.letter, **row._asdict()}
            for run in runs
            for row in tables.rows(run.scores, run.folder.state)
        ],
        "improvement": list(_improvements(runs)),
        "differences": {
            run.letter: differences(runs[0].folder.config, run.folder.config) for run in runs[1:]
        },
        "curves": [
            {
                "run": letter,
                "metric": metric,
                "update": update.tolist(),
                "iqm": statistics.iqm(values[:, :, None]).tolist(),
            }
            for metric, found in _shared_curves(runs)
            for letter, update, values in found
        ],
    }


def nothing_compared(runs: Sequence[Compared]) -> str:
    """The reason why no two of the runs are compared in their scores, as a sentence."""
    without = [run.letter for run in runs if not run.scores]
    if without:
        return f"no scores are compared: {', '.join(without)} has none; an experiment gives them by `scores`"
    rows = "; ".join(f"{run.letter} has {', '.join(run.scores)}" for run in runs)
    return f"no scores are compared, because no two runs share a row: {rows}"


def probability_of_better(x: Score, y: Score) -> tuple[float, tuple[float, float] | None]:
    """The probability that a member of `x` is better than one of `y`, ties 1/2, and its 95 % interval.

    A member that diverged is worse than all that did not; two that diverged are a tie. Where neither "more"
    nor "less" is better, the probability is that of a larger value among finished members. The interval is
    None below `statistics.MIN_RUNS` members of either.
    """
    better = x.better
    a, b = (np.asarray(s.values, np.float64) for s in (x, y))
    if better is None:
        a, b = a[np.isfinite(a)], b[np.isfinite(b)]
    else:
        sign = 1.0 if better == "more" else -1.0
        a, b = sign * a, sign * b
        known = np.concatenate((a, b))[np.isfinite(np.concatenate((a, b)))]
        worst = float(known.min()) - 1.0 - abs(float(known.min())) if known.size else 0.0
        a, b = (statistics.diverged_as_worst(v, worst) for v in (a, b))
    if not a.size or not b.size:
        return float("nan"), None
    pair = a[:, None], b[:, None]
    interval = statistics.bootstrap_interval(statistics.probability_of_improvement, *pair)
    value = float(statistics.probability_of_improvement(*pair))
    return value, None if interval is None else (float(interval[0]), float(interval[1]))


def markup(runs: Sequence[Compared]) -> str:
    """The comparison as one page that needs no other file."""
    found = document(runs)
    return page.page(
        "Comparison",
        [
            "<h1>Comparison</h1>",
            page.section("Runs", _run_table(found["runs"])),
            page.section("Configurations", _difference_table(found["differences"])),
            page.section("Scores", _score_table(found["scores"])),
            page.section("Probability of improvement", _improvement_table(found["improvement"])),
            page.section("Curves", _picture(runs)),
        ],
    )


def _run_table(runs: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        (
            f"<b>{r['name']}</b>",
            page.text(r["experiment"]),
            page.text(r["preset"]),
            page.pill(r["state"]),
            f"<code>{page.text(r['run'])}</code>",
        )
        for r in runs
    ]
    return page.table(("", "experiment", "preset", "state", "folder"), lines)


def _difference_table(differing: Mapping[str, Sequence[str]]) -> str:
    """A line per field in which a run differs from the first, or one that says that it does not."""
    lines = [
        (f"A to {letter}", f"<code>{page.text(line)}</code>" if line else "the same")
        for letter, fields in differing.items()
        for line in fields or [""]
    ]
    return page.table(("", "differences"), lines)


def _score_table(scores: Sequence[Mapping[str, Any]]) -> str:
    head = ("", "run", "planned", "finished", "mean", "95 % interval", "IQM", "95 % interval")
    lines = [
        (
            page.text(r["label"]),
            r["run"],
            str(r["planned"]),
            str(r["finished"]),
            page.number(r["mean"]),
            page.interval(r["interval"]),
            page.number(r["iqm"]),
            page.interval(r["iqm_interval"]),
        )
        for r in sorted(scores, key=lambda r: r["label"])
    ]
    return page.table(head, lines, numeric=range(2, len(head)))


def _improvement_table(improvement: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        (
            page.text(r["label"]),
            f"{r['run']} over {r['than']}",
            page.number(r["probability"]),
            page.interval(r["interval"]),
        )
        for r in improvement
    ]
    return page.table(("", "", "probability", "95 % interval"), lines, numeric=(2, 3))


def _improvements(runs: Sequence[Compared]) -> Iterator[dict[str, Any]]:
    for first, second in itertools.combinations(runs, 2):
        for label, old, new in _pairs(first.scores, second.scores):
            value, interval = probability_of_better(new, old)
            yield {
                "label": label,
                "run": second.letter,
                "than": first.letter,
                "probability": None if np.isnan(value) else value,
                "interval": interval,
            }


def _pairs(a: Mapping[str, Score], b: Mapping[str, Score]) -> list[tuple[str, Score, Score]]:
    """Rows that two tables share, or their only rows."""
    shared = [(label, a[label], b[label]) for label in a if label in b]
    if not shared and len(a) == len(b) == 1:
        ((one, x), (two, y)) = (*a.items(), *b.items())
        return [(f"{one} / {two}", x, y)]
    return shared


def _shared_curves(
    runs: Sequence[Compared],
) -> list[tuple[str, list[tuple[str, np.ndarray, np.ndarray]]]]:
    """Metric, and `(letter, update [L], values [L, B])` of the runs that have it; metrics of two at least.

    A log point counts where every member has a value: a curve ends where a member diverged.
    """
    logged = {run.letter: curves.curves(run.folder) for run in runs if run.folder.read_metrics()}
    found: dict[str, list[tuple[str, np.ndarray, np.ndarray]]] = {}
    for letter, arrays in logged.items():
        for name, values in arrays.items():
            if values.ndim == 2:
                kept = np.isfinite(values).all(1)
                if kept.any():
                    found.setdefault(name, []).append((letter, arrays["update"][kept], values[kept]))
    shared = [(name, curve) for name, curve in found.items() if len(curve) > 1]
    return sorted(shared, key=lambda c: ("return" not in c[0], c[0]))[:PANELS]


def _picture(runs: Sequence[Compared]) -> str:
    from jaxrl.report import plots

    shown = _shared_curves(runs)
    if not shown:
        return ""
    with plots.paper():
        fig, axes = plots.subplots(-(-len(shown) // 2), 2)
        for ax in axes.flat[len(shown) :]:
            ax.set_visible(False)
        for ax, (metric, found) in zip(axes.flat, shown, strict=False):
            for letter, update, values in found:
                plots.learning_curve(ax, update, values.T, label=letter, resamples=2000)
            ax.set(title=metric, xlabel="update")
            ax.legend()
        picture = page.embed(plots.png(fig), "png")
    return page.picture(picture, "curves", "Interquartile mean over members; every member below ten of them.")
