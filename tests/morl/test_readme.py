"""Tables in the README of the experiments that no command writes: computed again from the stored results."""

from pathlib import Path

import numpy as np

from experiments.morl import comparison
from experiments.morl.settings import finite
from jaxrl.morl.metrics import maximum_utility_loss
from jaxrl.report import statistics

FOLDER = Path(comparison.__file__).parent
README = (FOLDER / "README.md").read_text()


def stored(name):
    """Arrays of a published result."""
    with np.load(FOLDER / "results" / f"{name}.npz") as file:
        return {key: file[key] for key in file.files}


def spread(values, digits):
    """Smallest and largest of the seeds."""
    low, high = (f"{x:.{digits}f}" for x in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def shortfalls():
    """Hull gap and largest loss of utility of every stage on the concave sea."""
    result, front = stored("discrete_suite-concave"), finite("dst-concave").front
    lines = ["| stage | hull gap, % | largest loss of utility | at w |", "|---|---|---|---|"]
    for v, stage in enumerate(["initialisation", *result["variant_0"].tolist()]):
        rows = zip(result["returns_0"][v], result["valid_0"][v], strict=True)
        worst = [maximum_utility_loss(x[on].astype(float), front) for x, on in rows]
        places = sorted({str(tuple(np.round(np.asarray(x.weights, float), 2).tolist())) for x in worst})
        gap = spread(100 * result["gap_0"][v], 2)
        lines.append(f"| {stage} | {gap} | {spread([x.loss for x in worst], 3)} | {', '.join(places)} |")
    return "\n".join(lines)


def methods():
    """Exact hypervolume, feasible share and paired difference of every method on both tasks."""
    result = stored("comparison-quick")
    names, head = result["method"].tolist(), "| method |"
    rows = {}
    for i, task in enumerate(result["task"].tolist()):
        head += f" {task} | feasible | minus the barrier, paired [95 %] |"
        exact = result[f"exact_{i}"]
        base = exact[names.index(comparison.BASE)]
        for v, name in enumerate(names):
            share = result[f"feasible_{i}"][v]
            kept = f"{share.mean():.2f}" if np.isfinite(share).any() else "no constraint"
            low, high = statistics.mean_interval((exact[v] - base)[:, None])
            paired = f"{(exact[v] - base).mean():.1f} [{float(low):.1f}, {float(high):.1f}]"
            cells = f" {exact[v].mean():.1f} | {kept} | {paired if name != comparison.BASE else '-'} |"
            rows[name] = rows.get(name, f"| {name} |") + cells
        tables = f" {float(result[f'support_{i}']):.1f} | no constraint | - |"
        rows["linear support"] = rows.get("linear support", "| linear support, tables known |") + tables
    order = sorted(rows, key=lambda name: -float(rows[name].split("|")[2]))
    return "\n".join([head, "|" + "---|" * (head.count("|") - 1), *(rows[name] for name in order)])


def test_shortfalls_of_the_concave_sea_are_those_of_the_stored_result():
    assert shortfalls() in README


def test_the_table_of_methods_is_that_of_the_stored_result():
    assert methods() in README
