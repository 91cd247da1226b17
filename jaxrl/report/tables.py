"""Tables of scores: counts and aggregates on a run's page, the paper's values beside ours in a README.

An experiment that reports quantities defines `scores(result) -> {label: float[n planned]}`, a pure function
of the arrays in result.npz; a member that diverged or never finished is NaN. `BETTER` of the experiment's
file, "more" or "less", says which direction of them is better (without it none is); a label that differs, or
that has an interval of its own, is a `Score` instead of an array. What the paper says stands in
`experiments/<family>/expected.json`:

    {"<name>": {"<label>": {"preset": "quick", "paper": 500, "tolerance": 10, "rule": "within",
                            "source": "table 1", "reason": "why ours differs, where it does"}}}

`rule` is "within" (paper +- tolerance), "at least" (paper - tolerance) or "at most" (paper + tolerance);
it defaults to "within", `tolerance` to 0, `reason` to nothing. Where nothing was published `paper` is null:
our value is shown and not judged. The verdict compares the mean over members with that bound.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.errors import CorruptInput, NumericalFailure, UsageError, nearest
from jaxrl.report import statistics
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder, atomic_write
from jaxrl.run.records import once

BEGIN = "<!-- table: written by `jaxrl report RUN --publish`, do not edit -->"
END = "<!-- end of table -->"
MAX_BYTES = 1_000_000  # of a result that is checked in
RULES = ("within", "at least", "at most")


class Score(NamedTuple):
    """What an experiment reports about one quantity, where an array of members does not say all.

    values: `float[n planned]`, a member that diverged or never finished is NaN.
    better: whether "more" or "less" is better, which a member that diverged must count as the worst of; None
    where neither is, for example for a fitted slope. None is not filled by the module's `BETTER`.
    interval: `(low, high)` of the mean at 95 %, where the experiment has a better one than Student's t over
    `values`, for example that of a regression.
    note: what the interval was made from, in place of the count of members.
    derived: whether it is computed from members that another label already holds, for example a difference of
    two or a median; its NaN say that there is no value, not that a member diverged.
    """

    values: np.ndarray
    better: str | None = None
    interval: tuple[float, float] | None = None
    note: str = ""
    derived: bool = False


class Row(NamedTuple):
    """One line of a run's table: counts of members, aggregates over finished and over planned ones.

    planned = finished + diverged + preempted. mean: over the finished members; interval: its 95 % interval
    (Student's t, or the experiment's own), None for one member. iqm: interquartile mean over the finished
    members, iqm_interval: its 95 % interval, None below ten of them. iqm_planned: members that did not finish
    count as the worst that did, None where the quantity has no better direction. All None where no member
    finished.
    """

    label: str
    planned: int
    finished: int
    diverged: int
    preempted: int
    mean: float | None = None
    interval: tuple[float, float] | None = None
    iqm: float | None = None
    iqm_interval: tuple[float, float] | None = None
    iqm_planned: float | None = None


def rows(scores: Mapping[str, Score | np.ndarray], state: str = "done") -> list[Row]:
    """One row per label; in a run that was stopped (`state`) missing members count as preempted."""
    return [_row(label, _score(label, x), state) for label, x in scores.items()]


def _row(label: str, score: Score, state: str) -> Row:
    x = score.values
    finished = x[np.isfinite(x), None]
    missing = 0 if score.derived else x.size - finished.size
    stopped = state in ("preempted", "running")
    counts = (finished.size + missing, finished.size, 0 if stopped else missing, missing if stopped else 0)
    if not finished.size:
        return Row(label, *counts)
    worst = statistics.worst_finite(x, score.better)
    planned = finished if missing == 0 else None
    if missing and worst is not None:
        planned = statistics.diverged_as_worst(x, worst)[:, None]
    return Row(
        label,
        *counts,
        float(statistics.mean(finished)),
        _interval(score),
        float(statistics.iqm(finished)),
        _floats(statistics.bootstrap_interval(statistics.iqm, finished)),
        None if planned is None else float(statistics.iqm(planned)),
    )


def _score(label: str, value: Score | np.ndarray, better: str | None = None) -> Score:
    """A checked `Score`; `better` is that of plain arrays."""
    score = value if isinstance(value, Score) else Score(value, better)
    values = np.asarray(score.values, np.float64)
    if values.ndim != 1 or not values.size:
        raise UsageError(f"scores: '{label}': expected [n members], got shape {values.shape}")
    if score.better not in ("more", "less", None):
        raise UsageError(f"scores: '{label}': better: must be 'more', 'less' or None, got {score.better!r}")
    return score._replace(values=values)


def _interval(score: Score) -> tuple[float, float] | None:
    """95 % interval of the mean over the finished members."""
    if score.interval is not None:
        return _floats(score.interval)
    return _floats(statistics.mean_interval(score.values[np.isfinite(score.values), None]))


def _floats(interval: tuple[Any, Any] | None) -> tuple[float, float] | None:
    return None if interval is None else (float(interval[0]), float(interval[1]))


def module_scores(module: ModuleType, result: Mapping[str, np.ndarray]) -> dict[str, Score]:
    """The experiment's `scores(result)` as `Score` records; `BETTER` of its file holds for plain arrays.

    Raises `CorruptInput` where the result lacks an array that the scores need.
    """
    better = getattr(module, "BETTER", None)
    try:
        found = module.scores(result)
    except KeyError as error:
        raise CorruptInput(
            f"{module.__name__}: its scores need the array {error}, which the result lacks; it was made by"
            " another version of the experiment, run it again"
        ) from error
    return {label: _score(label, x, better) for label, x in found.items()}


def run_scores(module: ModuleType | None, folder: RunFolder) -> dict[str, Score]:
    """What the experiment reports about a run; empty before there is a result."""
    if module is None or not hasattr(module, "scores") or not (folder.path / "result.npz").exists():
        return {}
    return module_scores(module, folder.load_result())


def publish(folder: RunFolder, module: ModuleType, root: Path) -> list[Path]:
    """Copies result.npz to `results/<name>-<preset>.npz` of the family and regenerates the README's table.

    Members may have diverged. Raises `UsageError` for a run that was not completed or a result above
    `MAX_BYTES`.
    """
    if not hasattr(module, "scores"):
        raise UsageError(f"{folder.experiment}: defines no scores(result), there is nothing to publish")
    if folder.status.get("exit_code") not in (0, NumericalFailure.exit_code):
        raise UsageError(f"{folder.path}: is {folder.status.get('state')}; only finished runs are published")
    source = folder.path / "result.npz"
    if source.stat().st_size > MAX_BYTES:
        raise UsageError(f"{source}: {source.stat().st_size} bytes; publish at most {MAX_BYTES}, save less")
    folder.load_result()  # refuses a damaged file
    family, name = folder.experiment.split("/", 1)
    target = root / "experiments" / family / "results" / f"{name}-{folder.preset}.npz"
    target.parent.mkdir(exist_ok=True)
    before = target.read_bytes() if target.exists() else None
    atomic_write(target, source.read_bytes())
    try:
        return [target, write_readme(root, family)]
    except Exception:  # the table and the results beside it stay those of before
        target.unlink() if before is None else atomic_write(target, before)
        raise


def write_readme(root: Path, family: str) -> Path:
    """Replaces the generated part of the family's README.md, which is created where there is none."""
    path = root / "experiments" / family / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else f"# {family}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and not end:
        raise CorruptInput(f"{path}: the line '{END}' is missing")
    before = before if begin else before.rstrip("\n") + "\n\n"
    atomic_write(path, f"{before}{BEGIN}\n\n{family_table(root, family)}\n{END}{after if end else chr(10)}")
    return path


def family_table(root: Path, family: str) -> str:
    """The Markdown table of a family from expected.json and results/*.npz alone.

    Raises `CorruptInput` for an entry whose label its published result lacks.
    """
    folder = root / "experiments" / family
    expected = read_expected(folder / "expected.json")
    lines = [
        "| experiment | quantity | reference | ours: mean [95 % interval] (n runs) | verdict | reason |",
        "|---|---|---|---|---|---|",
    ]
    for name, labels in expected.items():
        module = catalogue.load(root, f"{family}/{name}")
        published: dict[str, dict[str, Score]] = {}
        for label, entry in labels.items():
            preset = entry["preset"]
            file = folder / "results" / f"{name}-{preset}.npz"
            if preset not in published:
                published[preset] = module_scores(module, _load(file)) if file.exists() else {}
            quantity = entry["quantity"]
            score = published[preset].get(quantity)
            if score is None and published[preset]:
                raise CorruptInput(
                    f"{folder / 'expected.json'}: {name}: {file.name} has no '{quantity}';"
                    f" {nearest(quantity, published[preset])}"
                )
            ours, verdict = judge(score, entry)
            paper = f"{_wanted(entry)} ({entry['source']})"
            cells = (f"`{family}/{name} {preset}`", label, paper, ours, verdict, entry["reason"])
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _wanted(entry: Mapping[str, Any]) -> str:
    """What an entry asks for, with the tolerance that decides the verdict."""
    if entry["paper"] is None:
        return "-"
    if entry["rule"] == "within":
        return f"{entry['paper']:g} \u00b1 {entry['tolerance']:g}"
    sign = {"at least": ">=", "at most": "<="}[entry["rule"]]
    tolerance = f", tolerance {entry['tolerance']:g}" if entry["tolerance"] else ""
    return f"{sign} {entry['paper']:g}{tolerance}"


def judge(score: Score | np.ndarray | None, entry: Mapping[str, Any]) -> tuple[str, str]:
    """`(ours, verdict)` of one line: within, outside (also where a seed diverged), not run, or not judged."""
    if score is None:
        return "-", "not run"
    score = _score("", score)
    x = score.values
    finished = x[np.isfinite(x), None]
    count = f"n = {finished.size}" + (f" of {x.size}" if finished.size < x.size else "")
    if not finished.size:
        return f"- ({score.note or count})", "not judged" if entry["paper"] is None else "outside"
    mean = float(statistics.mean(finished))
    interval = _interval(score)
    shown = "" if interval is None else f" [{interval[0]:.4g}, {interval[1]:.4g}]"
    ours = f"{mean:.4g}{shown} ({score.note or count})"
    if entry["paper"] is None:
        return ours, "not judged"
    above = mean >= entry["paper"] - entry["tolerance"] or entry["rule"] == "at most"
    below = mean <= entry["paper"] + entry["tolerance"] or entry["rule"] == "at least"
    within = above and below and finished.size == x.size
    return ours, "within" if within else "outside"


def read_expected(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """expected.json with every entry complete; `CorruptInput` names what is wrong in it. No file: empty.

    quantity: the label among the experiment's scores, by default the name of the entry.
    """
    if not path.exists():
        return {}
    defaults = {"rule": "within", "tolerance": 0.0, "reason": ""}
    try:
        content = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=once)
        entries = {
            n: {k: {"quantity": k, **defaults, **e} for k, e in labels.items()}
            for n, labels in content.items()
        }
    except (ValueError, AttributeError, TypeError) as error:
        raise CorruptInput(f"{path}: not an object of objects of entries ({error})") from error
    for name, labels in entries.items():
        for label, entry in labels.items():
            problem = _problem(entry)
            if problem:
                raise CorruptInput(f"{path}: {name}: {label}: {problem}")
    return entries


def _problem(entry: Mapping[str, Any]) -> str | None:
    wanted = {"preset", "quantity", "paper", "tolerance", "rule", "source", "reason"}
    if set(entry) != wanted or entry["rule"] not in RULES:
        return f"an entry has exactly {', '.join(sorted(wanted))}; rule is one of {', '.join(RULES)}"
    for field in ("preset", "quantity", "source", "reason"):
        if not isinstance(entry[field], str) or set(entry[field]) & set("|\n"):
            return f"{field}: must be text without '|' and line ends, got {entry[field]!r}"
    if entry["paper"] is not None and not _finite(entry["paper"]):
        return f"paper: must be a finite number or null, got {entry['paper']!r}"
    if not _finite(entry["tolerance"]) or entry["tolerance"] < 0:
        return f"tolerance: must be a finite number >= 0, got {entry['tolerance']!r}"
    return None


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zip, zlib and numpy each have their own classes
        raise CorruptInput(f"{path}: damaged ({error}); publish the run again") from error
