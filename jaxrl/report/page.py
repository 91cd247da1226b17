"""Parts of self-contained HTML pages: one style sheet, no script, no network."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable
from typing import Any

_CSS = """
:root{color-scheme:light;--ink:#1b1f24;--soft:#5f6670;--line:#e4e7eb;--card:#fff;--page:#f6f7f9;--link:#0072b2}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
  font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:18px;margin:0 0 12px;overflow-wrap:anywhere}
h1+p,.soft{color:var(--soft)}
p{margin:0 0 12px}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;
  padding:20px 22px;margin:18px 0}
.warning{border-left:4px solid #d55e00}
.note{color:#96330a;overflow-wrap:anywhere}
.wide{overflow-x:auto;margin:0 0 12px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:5px 22px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--soft);font-weight:600;font-size:13px}
td.n,th.n{text-align:right}
tr:last-child td{border-bottom:0}
code,pre{font:12.5px/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,monospace}
pre{background:var(--page);border-radius:8px;padding:12px 14px;overflow-x:auto;margin:8px 0 0}
figure{margin:0 0 14px}
figure img{width:100%;max-width:900px;height:auto;display:block}
figcaption{color:var(--soft);font-size:13px}
.grid{display:flex;flex-wrap:wrap;gap:14px;margin-top:10px}
.grid img{max-width:420px}
summary{cursor:pointer;color:var(--soft)}
.state{display:inline-block;border-radius:20px;padding:1px 11px;font-size:13px;font-weight:600;
  vertical-align:middle}
.done{background:#dff3ea;color:#00684c}
.running,.created{background:#e0eefb;color:#00507d}
.failed,.killed{background:#fbe3dc;color:#96330a}
.preempted{background:#fcf0d6;color:#7a5200}
@media (max-width:600px){main{padding:20px 10px 40px}section{padding:14px 12px}}
"""


def page(title: str, body: Iterable[str], refresh_s: float | None = None) -> str:
    """A whole document; with `refresh_s` it reloads itself."""
    refresh = "" if refresh_s is None else f"<meta http-equiv='refresh' content='{refresh_s:.0f}'>"
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width,initial-scale=1'>{refresh}"
        f"<title>{text(title)}</title><style>{_CSS}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def section(title: str, content: str, kind: str = "") -> str:
    """A titled card; nothing where there is no content."""
    attribute = f" class='{text(kind)}'" if kind else ""
    return f"<section{attribute}><h2>{text(title)}</h2>{content}</section>" if content else ""


def table(head: Iterable[str], lines: Iterable[Iterable[str]], numeric: Iterable[int] = ()) -> str:
    """A table of cells that are markup, empty without lines; columns in `numeric` are set flush right."""
    right = {i: " class='n'" for i in numeric}
    heads = "".join(f"<th{right.get(i, '')}>{h}</th>" for i, h in enumerate(head))
    rows = "".join(
        "<tr>" + "".join(f"<td{right.get(i, '')}>{c}</td>" for i, c in enumerate(cells)) + "</tr>"
        for cells in lines
    )
    top = f"<tr>{heads}</tr>" if heads else ""
    return f"<div class='wide'><table>{top}{rows}</table></div>" if rows else ""


def pairs(values: Iterable[tuple[str, Any]]) -> str:
    """A table of names and values."""
    return table((), ((text(name), f"<code>{text(value)}</code>") for name, value in values))


def details(summary: str, content: str) -> str:
    """Content that opens below its summary."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def picture(source: str, name: str, caption: str, link: str | None = None) -> str:
    """A figure; `caption` is markup."""
    image = f"<img loading='lazy' alt='{text(name)}' src='{text(source)}'>"
    image = image if link is None else f"<a href='{text(link)}'>{image}</a>"
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def link(target: str, label: str) -> str:
    """A link to another file of the same tree."""
    return f"<a href='{text(target)}'>{text(label)}</a>"


def pill(state: str) -> str:
    """The state of a run as a coloured label."""
    return f"<span class='state {text(state)}'>{text(state)}</span>"


def embed(data: bytes, kind: str) -> str:
    """Address of a picture that contains it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def text(value: Any) -> str:
    """Anything as text that is safe inside markup and attributes."""
    return html.escape(str(value), quote=True)


def number(value: float | None) -> str:
    """Four significant digits, and a dash where there is no value."""
    return "-" if value is None else f"{value:.4g}"


def interval(ends: tuple[float, float] | None) -> str:
    """Both ends of an interval, and a dash where there is none."""
    return "-" if ends is None else f"[{number(ends[0])}, {number(ends[1])}]"
