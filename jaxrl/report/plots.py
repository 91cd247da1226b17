"""The common style of all figures: palette, sizes, learning curves, heat maps, deterministic files.

Pictures are drawn on `matplotlib.figure.Figure` without pyplot, so that no window system is needed and a
notebook keeps its own backend.

    with plots.paper():
        fig, axes = plots.subplots(1, 2)
        plots.learning_curve(axes[0, 0], steps, returns, label="PPO", better="more")
        return plots.save(fig, folder.figures / "learning_curves")
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.core.errors import UsageError

try:
    import matplotlib
except ValueError as error:
    raise UsageError(f"MPLBACKEND: matplotlib refuses it ({error}); unset it") from error
from matplotlib import rcsetup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from jaxrl.report import statistics

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito's colours, told apart with every common colour blindness; the light ones come last."""

FORMATS = ("png", "pdf", "svg")

GREY = "#5f6670"
"""Ink of axes, reference lines and remarks."""

_PARAMS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 9.5,
    "axes.labelcolor": "#2b2f36",
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": rcsetup.cycler(color=PALETTE),
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    # files must not depend on the day or on a random salt
    "svg.hashsalt": "jaxrl",
    "pdf.fonttype": 42,
}


@contextmanager
def paper() -> Iterator[None]:
    """The style, for figures made inside the block."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_PARAMS)
        yield


def subplots(
    rows: int = 1, columns: int = 1, *, width: float = 4.2, height: float = 3.1
) -> tuple[Figure, np.ndarray]:
    """A figure and its axes `[rows, columns]`; `width` and `height` of one panel in inches."""
    fig = Figure(figsize=(width * columns, height * rows))
    FigureCanvasAgg(fig)
    return fig, fig.subplots(rows, columns, squeeze=False)


def learning_curve(
    ax: Any,
    x: np.ndarray,
    y: np.ndarray,
    *,
    label: str = "",
    color: str | None = None,
    better: str | None = None,
    worst: float | None = None,
    resamples: int = 20_000,
) -> None:
    """IQM over seeds; from ten seeds on with its 95 % bootstrap band, below every seed is drawn as well.

    x: `[L]` environment steps or updates; y: `[seeds, L]`. Where a seed diverged (NaN) it counts as the worst
    finite value, the smallest where "more" is `better` and the largest where "less" is, or as `worst` if that
    is worse still; without either the curve ends there. The legend says how many did.
    """
    x, y = np.asarray(x), np.asarray(y, np.float64)
    if y.ndim != 2 or x.shape != y.shape[1:]:
        raise ValueError(f"y: expected [seeds, L] for x [L], got {y.shape} for {x.shape}")
    finite = np.isfinite(y)
    if not finite.any():
        raise ValueError("y: no finite value to draw")
    diverged = int(np.count_nonzero(~finite[:, -1]))
    note = f"n = {len(y)}" + (f", {diverged} diverged" if diverged else "")
    fill = _fill(y, better, worst)
    filled = y if fill is None else statistics.diverged_as_worst(y, fill)
    known = np.isfinite(filled).all(0)
    points = filled[:, known].T[:, :, None]
    centre = np.full(x.shape, np.nan)
    centre[known] = statistics.iqm(points)
    (line,) = ax.plot(x, centre, color=color, label=f"{label} ({note})" if label else note)
    band = statistics.bootstrap_interval(statistics.iqm, points, resamples=resamples)
    if band is not None:
        low, high = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
        low[known], high[known] = band
        ax.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    elif len(y) > 1:
        ax.plot(x, y.T, color=line.get_color(), alpha=0.3, linewidth=0.6, zorder=1.5)
    if x.size and np.max(x) >= 10_000:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.margins(x=0.01)


def _fill(y: np.ndarray, better: str | None, worst: float | None) -> float | None:
    """The value that takes the place of one that is not finite."""
    found = statistics.worst_finite(y, better)
    if worst is None or found is None:
        return worst if found is None else found
    return min(found, worst) if better == "more" else max(found, worst)


def seed_dots(
    ax: Any, names: Sequence[str], values: Sequence[np.ndarray], colors: Sequence[str] | None = None
) -> None:
    """One line per name: every seed as a dot, the mean as a tick, and its 95 % interval as a bar.

    values: an array `[seeds]` per name; members that are not finite are left out and counted in the name. The
    interval is Student's t, from two seeds on. colors: one per name, by default those of `PALETTE`.
    """
    if len(names) != len(values):
        raise ValueError(f"values: {len(values)} arrays for {len(names)} names")
    shown = []
    for i, (name, x) in enumerate(zip(names, values, strict=True)):
        color = PALETTE[i % len(PALETTE)] if colors is None else colors[i]
        x = np.asarray(x, np.float64)
        finite = x[np.isfinite(x)]
        shown.append(name if finite.size == x.size else f"{name} ({x.size - finite.size} diverged)")
        ax.plot(finite, np.full(finite.size, i + 0.18), "o", color=color, alpha=0.45, markersize=4)
        if finite.size:
            ax.plot(finite.mean(), i - 0.12, "|", color=color, markersize=11)
            interval = statistics.mean_interval(finite[:, None])
            if interval is not None:
                ax.plot(interval, [i - 0.12, i - 0.12], color=color, linewidth=3.5, alpha=0.5)
    ax.set_yticks(range(len(shown)), shown)
    ax.set_ylim(len(shown) - 0.5, -0.5)


def heat_map(
    ax: Any,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    notes: Sequence[Sequence[str]] | None = None,
    number: str = "{:.0f}",
    label: str = "",
) -> None:
    """Cells coloured by `values` `[rows, columns]` and annotated with the number and a smaller note below it.

    `notes` is `[rows, columns]` texts, for example `n = 7 of 8`; a cell that is not finite stays grey.
    """
    values = np.asarray(values, np.float64)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(f"values: shape {values.shape}, but {len(rows)} rows and {len(columns)} columns")
    palette = matplotlib.colormaps["cividis"].with_extremes(bad="#d5d9de")
    image = ax.imshow(np.ma.masked_invalid(values), cmap=palette, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value)) if np.isfinite(value) else (0.84,) * 4
        ink = "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 0.5 else "#14171a"
        text = number.format(value) if np.isfinite(value) else "diverged"
        note = notes[i][j] if notes is not None else ""
        centred = {"ha": "center", "va": "center", "color": ink, "textcoords": "offset points"}
        ax.annotate(text, (j, i), (0, 5 if note else 0), weight="bold", **centred)
        ax.annotate(note, (j, i), (0, -8), fontsize=7, **centred)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
    bar = ax.figure.colorbar(image, ax=ax, label=label, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)


def save(fig: Figure, path: Path) -> list[Path]:
    """Writes `path` with the suffixes of `FORMATS`; the bytes depend on the picture alone."""
    metadata = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
    files = [path.with_name(f"{path.name}.{kind}") for kind in FORMATS]
    for file, kind in zip(files, FORMATS, strict=True):
        fig.savefig(file, format=kind, metadata=metadata[kind])
    return files


def png(fig: Figure) -> bytes:
    """The picture as PNG, for a page."""
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
