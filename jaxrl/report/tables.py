"""Tables of scores: honest counts on a run's page, paper against ours in a family's README.

An experiment that has numbers to report defines `scores(result) -> {label: float[n planned]}`, a pure
function of the arrays in result.npz; a member that diverged or never finished is NaN. What the paper says
stands in `experiments/<family>/expected.json`:

    {"<name>": {"<label>": {"preset": "quick", "paper": 500, "tolerance": 10, "rule": "within",
                            "source": "table 1", "reason": "why ours differs, where it does"}}}

`rule` is "within" (paper +- tolerance), "at least" (paper - tolerance) or "at most" (paper + tolerance).
Where nothing was published `paper` is null: our number is shown and not judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from jaxrl.core.errors import CorruptInput, NumericalFailure, UsageError
from jaxrl.report import statistics
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder, atomic_write

BEGIN = "<!-- table: written by `jaxrl report RUN --publish`, do not edit -->"
END = "<!-- end of table -->"
MAX_BYTES = 1_000_000  # of a result that is checked in
RULES = ("within", "at least", "at most")


class Row(NamedTuple):
    """One line of a run's table: counts of members, aggregates over finished and over planned ones.

    planned = finished + diverged + preempted. iqm, low, high: over the finished members, with the 95 %
    bootstrap interval; iqm_planned: members that did not finish count as the worst that did. None where no
    member finished.
    """

    label: str
    planned: int
    finished: int
    diverged: int
    preempted: int
    iqm: float | None
    low: float | None
    high: float | None
    iqm_planned: float | None


def rows(scores: Mapping[str, np.ndarray], state: str = "done") -> list[Row]:
    """One row per label; in a run that was stopped (`state`) missing members count as preempted."""
    return [_row(label, np.asarray(x, np.float64), state) for label, x in scores.items()]


def _row(label: str, x: np.ndarray, state: str) -> Row:
    finished = x[np.isfinite(x)]
    missing = x.size - finished.size
    stopped = state in ("preempted", "running")
    counts = (x.size, finished.size, 0 if stopped else missing, missing if stopped else 0)
    if not finished.size:
        return Row(label, *counts, None, None, None, None)
    low, high = statistics.bootstrap(statistics.iqm, finished[:, None])
    planned = statistics.diverged_as_worst(x, finished.min())
    values = (statistics.iqm(finished[:, None]), low, high, statistics.iqm(planned[:, None]))
    return Row(label, *counts, *map(float, values))


def run_scores(module: ModuleType | None, folder: RunFolder) -> dict[str, np.ndarray]:
    """What the experiment reports about a run; empty before there is a result."""
    if module is None or not hasattr(module, "scores") or not (folder.path / "result.npz").exists():
        return {}
    return module.scores(folder.load_result())


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
    atomic_write(target, source.read_bytes())
    return [target, write_readme(root, family)]


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
    """The Markdown table of a family from expected.json and results/*.npz alone."""
    folder = root / "experiments" / family
    expected = read_expected(folder / "expected.json")
    lines = [
        "| experiment | quantity | paper value | ours: mean [95 % CI] (n seeds) | verdict | reason |",
        "|---|---|---|---|---|---|",
    ]
    for name, labels in expected.items():
        module = catalogue.load(root, f"{family}/{name}")
        published: dict[str, dict[str, np.ndarray]] = {}
        for label, entry in labels.items():
            preset = entry["preset"]
            file = folder / "results" / f"{name}-{preset}.npz"
            if preset not in published:
                published[preset] = module.scores(_load(file)) if file.exists() else {}
            ours, verdict = judge(published[preset].get(label), entry)
            known = "-" if entry["paper"] is None else f"{_RULE_SIGN[entry['rule']]}{entry['paper']:g}"
            paper = f"{known} ({entry['source']})"
            cells = (f"`{family}/{name} {preset}`", label, paper, ours, verdict, entry["reason"])
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


_RULE_SIGN = {"within": "", "at least": ">= ", "at most": "<= "}


def judge(scores: np.ndarray | None, entry: Mapping[str, Any]) -> tuple[str, str]:
    """`(ours, verdict)` of one line: within, outside (also where a seed diverged), not run, or not judged."""
    if scores is None or not np.isfinite(scores).any():
        return "-", "not run" if scores is None else "outside"
    scores = np.asarray(scores, np.float64)
    finished = scores[np.isfinite(scores), None]
    mean = float(statistics.mean(finished))
    low, high = statistics.bootstrap(statistics.mean, finished)
    count = f"n = {finished.size}" + (f" of {scores.size}" if finished.size < scores.size else "")
    ours = f"{mean:.4g} [{low:.4g}, {high:.4g}] ({count})"
    if entry["paper"] is None:
        return ours, "not judged"
    above = mean >= entry["paper"] - entry["tolerance"] or entry["rule"] == "at most"
    below = mean <= entry["paper"] + entry["tolerance"] or entry["rule"] == "at least"
    within = above and below and finished.size == scores.size
    return ours, "within" if within else "outside"


def read_expected(path: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """expected.json with every entry complete; `CorruptInput` names what is wrong in it. No file: empty."""
    if not path.exists():
        return {}
    defaults = {"rule": "within", "tolerance": 0.0, "reason": ""}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        entries = {n: {k: {**defaults, **e} for k, e in labels.items()} for n, labels in content.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise CorruptInput(f"{path}: not an object of objects of entries ({error})") from error
    for name, labels in entries.items():
        for label, entry in labels.items():
            wanted = {"preset", "paper", "tolerance", "rule", "source", "reason"}
            if set(entry) != wanted or entry["rule"] not in RULES:
                raise CorruptInput(
                    f"{path}: {name}: {label}: an entry has exactly {', '.join(sorted(wanted))};"
                    f" rule is one of {', '.join(RULES)}"
                )
    return entries


def _load(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zip, zlib and numpy each have their own classes
        raise CorruptInput(f"{path}: damaged ({error}); publish the run again") from error
