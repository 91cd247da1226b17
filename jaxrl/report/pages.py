"""Pages: report.html of one run, and index.html of all of them. Single files, no network, no script.

Figures are embedded as data; nothing but other files of the same tree is linked. A page that an experiment
wrote itself, `figures/*.html`, may have scripts of its own: it is linked, never embedded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from jaxrl.core.errors import JaxrlError
from jaxrl.report import page, tables
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder, atomic_write, run_paths

_MAX_SVG = 1_500_000  # larger vector pictures are embedded as PNG
_LOG_LINES = 40
_CURVES = 4
_NOT_CURVES = {"update", "env_steps", "wall_s", "cpu_s", "stage", "nonfinite"}


def write(folder: RunFolder, module: ModuleType | None = None, *, refresh_s: float | None = None) -> Path:
    """report.html of one run, replaced atomically; with `refresh_s` the page reloads itself.

    `module` is the experiment, which adds its title and its table of scores.
    """
    status = folder.status
    state = folder.state
    title = ((module.__doc__ or "").strip().splitlines() or [""])[0] if module else ""
    name = f"{page.text(folder.experiment)} <span class='soft'>{page.text(folder.preset)}</span>"
    scores = tables.rows(tables.run_scores(module, folder), state)
    body = [
        f"<h1>{name} {page.pill(state)}</h1><p>{page.text(title)}</p>",
        page.section("Warnings", _warnings(folder, status), "warning"),
        page.section("Figures", "".join(_figure(p, folder.path) for p in _pictures(folder.path))),
        page.section("Pages", _own_pages(folder.path)),
        page.section("Results", _score_table(scores)),
        page.section("Progress", _progress(folder, status)),
        page.section("Configuration", page.pairs(_flat(folder.config))),
        page.section("Environment", page.pairs(_flat(folder.meta))),
        page.section("Log", _log(folder.path / "log.txt")),
    ]
    path = folder.path / "report.html"
    atomic_write(path, page.page(f"{folder.experiment} {folder.preset}", body, refresh_s))
    return path


def fragment(folder: RunFolder, module: ModuleType | None = None) -> str:
    """HTML that shows a run inside another page: its state, table of scores, and figures or curves."""
    status = folder.status
    state = folder.state
    scores = tables.rows(tables.run_scores(module, folder), state)
    heading = f"{page.text(folder.experiment)} {page.text(folder.preset)} {page.pill(state)}"
    pictures = "".join(
        page.picture(page.embed(png.read_bytes(), "png"), png.stem, png.stem)
        for png in _pictures(folder.path)
    )
    parts = [f"<p>{heading}</p>", _score_table(scores) if scores else "", _progress(folder, status), pictures]
    return f"<div style='max-width:900px'>{''.join(parts)}</div>"


def write_index(path: Path, runs: Path, root: Path) -> Path:
    """One page of every run below `runs`: an experiment's latest figures in full, earlier ones folded.

    The experiment that ran last comes first. A run or an experiment that cannot be read is named with the
    reason, and does not keep the others from being shown.
    """
    found, damaged = find_runs(runs)
    groups: dict[str, list[RunFolder]] = {}
    for folder in found:
        groups.setdefault(folder.experiment, []).append(folder)
    titles = {e.name: e.title for e in catalogue.find(root)}
    path.parent.mkdir(parents=True, exist_ok=True)
    sections = [_experiment(name, titles, folders, path.parent, root) for name, folders in groups.items()]
    where = page.text(_relative(runs, path.parent))
    counts = f"Experiments: {len(groups)}, runs: {len(found)}, below <code>{where}</code>."
    intro = f"<h1>Experiments</h1><p>{counts}</p>"
    nothing = page.section("No run yet", "<code>jaxrl run EXPERIMENT PRESET</code> makes one.")
    lines = [(f"<code>{page.text(_relative(p, path.parent))}</code>", page.text(why)) for p, why in damaged]
    unread = page.section("Runs that cannot be read", page.table(("folder", "reason"), lines), "warning")
    atomic_write(path, page.page("Experiments", [intro, unread, *(sections or [nothing])]))
    return path


def find_runs(runs: Path) -> tuple[list[RunFolder], list[tuple[Path, str]]]:
    """Every run below `runs`, the latest first, and `(folder, reason)` of those that cannot be read."""
    found, damaged = [], []
    for path in run_paths(runs):
        try:
            folder = RunFolder.open(path.parent)
            if all(isinstance(part, dict) for part in (folder.config, folder.meta, folder.status)):
                found.append(folder)
        except Exception as error:  # one damaged file must not hide the other runs
            damaged.append((path.parent, reason(error)))
    return sorted(found, key=lambda f: f.path.name, reverse=True), damaged


def reason(error: BaseException) -> str:
    """An error as one line: the sentence of an error of ours, else the class and what it says."""
    text = " ".join(str(error).split())
    return text if isinstance(error, JaxrlError) else f"{type(error).__name__}: {text}"


def _experiment(
    name: str, titles: dict[str, str], folders: Sequence[RunFolder], base: Path, root: Path
) -> str:
    """One card of the index; `base` is the folder of the page, `folders` are the runs, latest first."""
    shown = next((f for f in folders if _pictures(f.path)), folders[0])
    notes = [] if name in titles else ["No experiment of this name is here any more."]
    scores: list[tables.Row] = []
    try:
        module = catalogue.load(root, name) if name in titles else None
        scores = tables.rows(tables.run_scores(module, shown), shown.state)
    except (Exception, SystemExit) as error:  # a file of the user's that does not import, an older result
        notes.append(f"Its scores cannot be computed: {reason(error)}")
    earlier = [(f, p) for f in folders if f is not shown for p in _pictures(f.path)]
    thumbnails = f"<div class='grid'>{''.join(_thumbnail(f, p, base) for f, p in earlier)}</div>"
    return page.section(
        name,
        f"<p>{page.text(titles.get(name, ''))}</p>"
        + "".join(f"<p class='note'>{page.text(note)}</p>" for note in notes)
        + "".join(_figure(p, base) for p in _pictures(shown.path))
        + _score_table(scores)
        + _run_table(folders, base)
        + (page.details(f"{len(earlier)} earlier figures", thumbnails) if earlier else ""),
    )


def _run_table(folders: Sequence[RunFolder], base: Path) -> str:
    lines = []
    for f in folders:
        status = f.status
        report, name = f.path / "report.html", f.path.name
        lines.append(
            (
                page.link(_relative(report, base), name) if report.exists() else page.text(name),
                page.text(f.path.parent.name),
                page.pill(f.state),
                f"{status.get('update', 0)} / {status.get('updates_total') or '?'}",
                page.text(status.get("error") or ""),
            )
        )
    return page.table(("run", "configuration", "state", "update", ""), lines, numeric=(3,))


def _score_table(rows: Iterable[tables.Row]) -> str:
    counts = ("planned", "finished", "diverged", "preempted")
    head = ("", *counts, "mean", "95 % interval", "IQM", "95 % interval", "IQM, unfinished = worst")
    lines = [
        (
            page.text(r.label),
            *map(str, r[1:5]),
            page.number(r.mean),
            page.interval(r.interval),
            page.number(r.iqm),
            page.interval(r.iqm_interval),
            page.number(r.iqm_planned),
        )
        for r in rows
    ]
    return page.table(head, lines, numeric=range(1, len(head)))


def _warnings(folder: RunFolder, status: dict[str, Any]) -> str:
    notes = [status["error"]] if status.get("error") else []
    if folder.meta.get("git_dirty"):
        notes.append("The code had uncommitted changes.")
    return "".join(f"<p>{page.text(n)}</p>" for n in notes)


def _progress(folder: RunFolder, status: dict[str, Any]) -> str:
    """State at the last log point, and curves of the logged metrics while there are no figures yet."""
    records = [r for r in folder.read_metrics() if "update" in r]
    if not records:
        return ""
    last = records[-1]
    facts = [("update", f"{last['update']} of {status.get('updates_total') or '?'}")]
    units = {"env_steps": "environment steps", "wall_s": "wall seconds", "cpu_s": "processor seconds"}
    facts += [(text, f"{last[n]:,.0f}") for n, text in units.items() if isinstance(last.get(n), int | float)]
    return page.pairs(facts) + ("" if _pictures(folder.path) else _live_curves(records))


def _live_curves(records: Sequence[dict[str, Any]]) -> str:
    """Median and every member of the first returns, or else of the first metrics, as one picture."""
    from jaxrl.report import plots

    last = records[-1]
    names = sorted((n for n in last if n not in _NOT_CURVES), key=lambda n: ("return" not in n, n))[:_CURVES]
    if not names:
        return ""
    with plots.paper():
        fig, axes = plots.subplots(-(-len(names) // 2), 2)
        for ax in axes.flat[len(names) :]:
            ax.set_visible(False)
        for ax, name in zip(axes.flat, names, strict=False):
            points = [r for r in records if name in r and r.get("stage") == last.get("stage")]
            members = np.array([np.ravel(np.asarray(r[name], np.float64)) for r in points])
            updates = [r["update"] for r in points]
            ax.plot(updates, members, color=plots.PALETTE[0], alpha=0.25, linewidth=0.7)
            ax.plot(updates, np.median(members, 1), color=plots.PALETTE[0])
            ax.set_title(name)
            ax.set_xlabel("update")
        return page.picture(page.embed(plots.png(fig), "png"), "progress", "every member, and the median")


def _pictures(run: Path) -> list[Path]:
    return sorted((run / "figures").glob("*.png"))


def _own_pages(run: Path) -> str:
    """Links to the pages that the experiment wrote beside its figures, each a file that stands alone."""
    pages = sorted((run / "figures").glob("*.html"))
    links = (f"<li>{page.link(_relative(p, run), p.stem.replace('_', ' '))}</li>" for p in pages)
    return f"<ul>{''.join(links)}</ul>" if pages else ""


def _figure(png: Path, base: Path) -> str:
    """A figure, as vector picture where it is not too large, with links to its files."""
    svg = png.with_suffix(".svg")
    vector = svg.exists() and svg.stat().st_size <= _MAX_SVG
    source = page.embed(svg.read_bytes(), "svg+xml") if vector else page.embed(png.read_bytes(), "png")
    files = [p for p in (png.with_suffix(s) for s in (".pdf", ".svg", ".png")) if p.exists()]
    links = " ".join(page.link(_relative(p, base), p.suffix[1:]) for p in files)
    name = png.stem.replace("_", " ")
    return page.picture(source, name, f"{page.text(name)} &middot; {links}")


def _thumbnail(folder: RunFolder, png: Path, base: Path) -> str:
    caption = f"{folder.path.name} {png.stem.replace('_', ' ')}"
    target = _relative(folder.path / "report.html", base)
    return page.picture(_relative(png, base), caption, page.text(caption), target)


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested objects as dotted names."""
    flat: list[tuple[str, Any]] = []
    for name, value in values.items():
        nested = isinstance(value, dict) and value
        flat += _flat(value, f"{prefix}{name}.") if nested else [(prefix + name, value)]
    return flat


def _log(path: Path) -> str:
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    tail = page.text("\n".join(lines[-_LOG_LINES:]))
    return page.details(f"last {min(len(lines), _LOG_LINES)} of {len(lines)} lines", f"<pre>{tail}</pre>")


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()
