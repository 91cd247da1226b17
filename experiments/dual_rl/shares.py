"""Score against the effective share of the policy weights, a panel per suite, cloning as the line.

`python -m experiments.dual_rl.shares` draws the published results of `offline_rl`, all presets that logged
the share, into `out/shares.png` (and pdf, svg).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.data.scores import Reference, normalised_score
from jaxrl.report import plots

CLONING = {"BC": "-", "BC paired": "--"}
"""Line styles of cloning, whose weights are equal: alone, and as a member beside the value losses."""
METHODS = ("f-DVL chi2", "f-DVL tv", "XQL", "IQL", "SQL", "ODICE")
"""Value losses in the order of their colours; `<method> share` has the colour of its method and squares."""
PUBLISHED = Path(__file__).parent / "results"


def panel(ax: Any, result: dict[str, np.ndarray], task: str) -> None:
    """Adds the members of `task` in one result of `offline_rl`: a dot per seed, cloning's mean as a line."""
    k = result["task"].tolist().index(task)
    score = normalised_score(result["eval_return"][k], Reference(*result["reference"][k]))
    for method, share, values in zip(result["method"].tolist(), result["ess"][k], score, strict=True):
        base = method.removesuffix(" share")
        if method in CLONING:
            ax.axhline(
                np.nanmean(values),
                color=plots.GREY,
                linestyle=CLONING[method],
                label=f"{method}, mean of a run",
            )
        elif base in METHODS and np.isfinite(share).any():
            color = plots.PALETTE[METHODS.index(base)]
            # squares stand at one share: those of the second method are hollow, so that both are seen
            marker, fill = ("o", color) if base == method else ("s", color if base == METHODS[0] else "none")
            ax.plot(
                share,
                values,
                marker,
                color=color,
                markerfacecolor=fill,
                markersize=4.5,
                alpha=0.7,
                label=method,
            )
    ax.set(title=task, xlabel="effective share", ylabel="score", xlim=(0, 1.03))


def picture(results: Sequence[dict[str, np.ndarray]], path: Path, columns: int = 4) -> list[Path]:
    """Writes one panel per suite of all `results` that hold `ess`; the files.

    A suite that several results hold has the members of all of them in its panel, and one cloning line for
    each. Raises `UsageError` where no result holds `ess`.
    """
    logged = [result for result in results if "ess" in result]
    names = list(dict.fromkeys(name for result in logged for name in result["task"].tolist()))
    if not names:
        raise UsageError(
            "results: none holds `ess`, the effective share of the weights; run offline_rl again"
        )
    columns = min(len(names), columns)
    with plots.paper():
        fig, axes = plots.subplots(-(-len(names) // columns), columns, width=3.9, height=3.3)
        for ax in axes.flat[len(names) :]:
            ax.remove()
        entries: dict[str, Any] = {}
        for ax, name in zip(axes.flat, names, strict=False):
            for result in logged:
                if name in result["task"]:
                    panel(ax, result, name)
            handles, labels = ax.get_legend_handles_labels()
            entries |= dict(zip(labels, handles, strict=True))
        fig.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=2 * columns)
        return plots.save(fig, path)


def published(folder: Path = PUBLISHED) -> list[dict[str, np.ndarray]]:
    """All published results of `offline_rl` in `folder`, by the names of their presets."""
    found = []
    for file in sorted(folder.glob("offline_rl-*.npz")):
        with np.load(file, allow_pickle=False) as arrays:
            found.append({name: arrays[name] for name in arrays.files})
    return found


def main() -> None:
    """Draws the published results; `--out` is the picture's path without its suffix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/shares"))
    path = parser.parse_args().out
    path.parent.mkdir(parents=True, exist_ok=True)
    print(*picture(published(), path), sep="\n")


if __name__ == "__main__":
    main()
