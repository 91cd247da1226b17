"""Pages of the documentation site that are made from the tree: run by mkdocs-gen-files at every build.

Families, their experiments and their theory are found by their folders, so that no file outside a family
names one: `jaxrl/<family>/README.md`, `jaxrl/<family>/CHOOSE.md` (which method should I use),
`experiments/<family>/README.md`, `theory/<family>/README.md` and `theory/<family>/REPORT.md`. The reference
is made from the docstrings of `jaxrl`, notebooks from `notebooks/`, executed ones (`.ipynb`) with outputs.
"""

from __future__ import annotations

import ast
import base64
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mkdocs_gen_files

ROOT = Path(__file__).resolve().parents[1]
KINDS = (  # file of a family, its page, its entry in the navigation
    ("jaxrl/{}/README.md", "index.md", "Overview"),
    ("jaxrl/{}/CHOOSE.md", "choose.md", "Which method should I use"),
    ("experiments/{}/README.md", "experiments.md", "Experiments and tables"),
    ("theory/{}/README.md", "theory.md", "Theory"),
    ("theory/{}/REPORT.md", "report.md", "Report of the checks"),
)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)


class Page(NamedTuple):
    """source: file of the repository. target: its page below docs/. label: its entry in the navigation."""

    source: Path
    target: str
    label: str


def families() -> dict[str, list[Page]]:
    """Pages by folder name, for every folder below `jaxrl`, `experiments` and `theory` that has one."""
    names = {
        path.parent.name
        for folder in ("jaxrl", "experiments", "theory")
        for path in (ROOT / folder).glob("*/*.md")
    }
    found = {}
    for name in sorted(names):
        files = [(ROOT / pattern.format(name), page, label) for pattern, page, label in KINDS]
        found[name] = [Page(f, f"families/{name}/{page}", label) for f, page, label in files if f.exists()]
    return found


def modules() -> list[Path]:
    """Public modules of the package, relative to the root."""
    files = sorted((ROOT / "jaxrl").rglob("*.py"))
    return [
        p.relative_to(ROOT)
        for p in files
        if not any(part.startswith("_") for part in (p.stem, p.parent.name))
    ]


def api_page(module: Path) -> str:
    """The page of a module in the reference."""
    return f"api/{module.with_suffix('.md').relative_to('jaxrl').as_posix()}"


def title(text: str, default: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# +(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else default


def relinked(text: str, source: Path, target: str, pages: dict[Path, str]) -> str:
    """`text` of `source` on the page `target`: links lead to the pages of files, or name files without."""

    def link(found: re.Match[str]) -> str:
        mark, label, address = found.groups()
        address, _, anchor = address.partition("#")
        if ":" in address or not address:
            return found[0]
        file = (source.parent / address).resolve()
        file = file / "README.md" if (file / "README.md") in pages else file
        if file in pages:
            there = posixpath.relpath(pages[file], posixpath.dirname(target))
            return f"{mark}[{label}]({there}{'#' + anchor if anchor else ''})"
        if file.exists():
            return f"{label} (`{file.relative_to(ROOT).as_posix()}`)"
        return found[0]  # mkdocs refuses it, as it should

    parts = FENCE.split(text)
    return "".join(part if i % 2 else LINK.sub(link, part) for i, part in enumerate(parts))


def write(target: str, text: str, source: Path | None = None) -> None:
    """A page below docs/, made from `source` where there is one."""
    with mkdocs_gen_files.open(target, "w") as file:
        file.write(text)
    if source is not None:
        mkdocs_gen_files.set_edit_path(target, source.as_posix())


def summary(module: Path) -> str:
    """First line of a module's docstring."""
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").strip().split("\n")[0]


def reference() -> Iterator[str]:
    """Writes one page per module and an index per package; yields lines of the navigation."""
    packages: dict[str, list[Path]] = {}
    for module in modules():
        parts = module.parts
        packages.setdefault(parts[1] if len(parts) > 2 else "jaxrl", []).append(module)
    overview = ["# Reference", "", "One page per module, made from the docstrings.", ""]
    entries = []
    for package, members in packages.items():
        init = ROOT / "jaxrl" / ("" if package == "jaxrl" else package) / "__init__.py"
        about = (ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) or "").strip()
        overview += [f"## {package}", "", about, "", "| module | holds |", "|---|---|"]
        lines = []
        for module in members:
            line = summary(module)
            name = ".".join(module.with_suffix("").parts)
            page = api_page(module)
            short = ".".join(module.with_suffix("").parts[2:]) or module.stem
            write(page, f"# {name}\n\n::: {name}\n", module)
            overview.append(
                f"| [{short}]({page.removeprefix('api/')}) | {line.replace('|', chr(92) + '|')} |"
            )
            lines.append(f"        * [{short}]({page})")
        overview.append("")
        entries += [f"    * {package}", *lines]
    write("api/index.md", "\n".join(overview))
    yield "* Reference"
    yield "    * [All modules](api/index.md)"
    yield from entries


def cells(path: Path) -> list[dict[str, Any]]:
    """Cells of a notebook: of an .ipynb with its outputs, of a percent-format .py without."""
    import jupytext

    return jupytext.read(path).cells


def notebook(path: Path) -> str:
    """A notebook as Markdown; its pictures are written beside the page."""
    target = f"notebooks/{path.stem}"
    lines: list[str] = []
    for i, cell in enumerate(cells(path)):
        if cell["cell_type"] == "markdown":
            lines += [cell["source"], ""]
        elif cell["cell_type"] == "code" and cell["source"].strip():
            lines += ["```python", cell["source"].rstrip(), "```", ""]
            for j, output in enumerate(cell.get("outputs", [])):
                lines += shown(output, f"{target}-{i}-{j}")
    return "\n".join(lines)


def shown(output: dict[str, Any], name: str) -> list[str]:
    """One output of a code cell."""
    data = output.get("data", {})
    if "image/png" in data:
        with mkdocs_gen_files.open(f"{name}.png", "wb") as file:
            file.write(base64.b64decode(data["image/png"]))
        return [f"![output]({posixpath.basename(name)}.png)", ""]
    text = output.get("text") or data.get("text/plain") or ""
    text = "".join(text) if isinstance(text, list) else text
    return ["```text", text.rstrip(), "```", ""] if text.strip() else []


def notebooks() -> list[Path]:
    """One file per notebook; an executed .ipynb comes before its percent-format source."""
    found = {
        path.stem: path for suffix in ("py", "ipynb") for path in (ROOT / "notebooks").glob(f"*.{suffix}")
    }
    return [found[stem] for stem in sorted(found)]


def shared() -> list[Page]:
    """Pages of the tree that belong to no family."""
    files = (
        ("theory/README.md", "Oracles and theorems"),
        ("theory/REPORT.md", "Report of all checks"),
        ("jaxrl/REFERENCES.md", "References"),
        ("CONTRIBUTING.md", "House rules"),
        ("CHANGELOG.md", "Changes"),
    )
    found = [(ROOT / file, label) for file, label in files if (ROOT / file).exists()]
    return [Page(file, f"tree/{file.relative_to(ROOT).as_posix().lower()}", label) for file, label in found]


def main() -> None:
    """Writes all pages and the navigation."""
    groups = families()
    code = {
        name for name, group in groups.items() if any(p.source.parent.parent.name != "theory" for p in group)
    }
    made = [page for group in groups.values() for page in group] + shared()
    pages = {page.source: page.target for page in made}
    pages |= {path: path.name for path in (ROOT / "docs").glob("*.md")}
    pages |= {ROOT / module: api_page(module) for module in modules()}
    pages |= {path: f"notebooks/{path.stem}.md" for path in notebooks()}
    for page in made:
        text = page.source.read_text(encoding="utf-8")
        write(page.target, relinked(text, page.source, page.target, pages), page.source.relative_to(ROOT))
    nav = ["* [Start](index.md)", "* [Quickstart](quickstart.md)"]
    for name in sorted(code):
        group = groups[name]
        first = next(page for page in group if page.source.name == "README.md")
        nav.append(f"* {title(first.source.read_text(encoding='utf-8'), name)}")
        nav += [f"    * [{page.label}]({page.target})" for page in group]
    nav.append("* Notebooks")
    for path in notebooks():
        text, target = notebook(path), f"notebooks/{path.stem}.md"
        write(target, relinked(text, path, target, pages))
        nav.append(f"    * [{title(text, path.stem)}]({target})")
    nav.append("* Theory")
    nav += [f"    * [{page.label}]({page.target})" for page in shared() if "theory/" in page.target]
    for name in sorted(set(groups) - code):
        nav += [f"    * [{name}]({page.target})" for page in groups[name]]
    nav.append("* How it is built")
    for path in sorted((ROOT / "docs").glob("*.md")):
        if path.stem not in ("index", "quickstart"):
            nav.append(f"    * [{title(path.read_text(encoding='utf-8'), path.stem)}]({path.name})")
    nav += [f"    * [{page.label}]({page.target})" for page in shared() if "theory/" not in page.target]
    nav += reference()
    write("SUMMARY.md", "\n".join(nav) + "\n")


main()
