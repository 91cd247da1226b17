"""The public surface of the shared layers as text: `python tests/reliability/api_snapshot.py` rewrites it.

With `--check` it says whether the text is that of the source, which `python3 dev.py lint` asks.

One line per public function, class, method and field, with its signature; read from the source, so nothing is
imported. Families are left out: each may change without an old file changing.
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = Path(__file__).with_name("api.txt")
CHANGED = "the public surface changed: note it in CHANGELOG.md, then python tests/reliability/api_snapshot.py"
LAYERS = ("core", "nets", "envs", "rollout", "data", "baselines", "run", "report", "cli")


def surface(root: Path = ROOT) -> str:
    """Every public name of the shared layers, a line each, in the order of files and source."""
    files = sorted(path for layer in LAYERS for path in (root / "jaxrl" / layer).rglob("*.py"))
    lines = []
    for path in files:
        module = ".".join(path.relative_to(root).with_suffix("").parts)
        lines += [f"{module} {line}" for line in _members(ast.parse(path.read_text()), "")]
    return "\n".join(lines) + "\n"


def _members(node: ast.Module | ast.ClassDef, prefix: str) -> list[str]:
    lines = []
    for child in node.body:
        if isinstance(child, ast.FunctionDef) and _public(child.name):
            returns = f" -> {ast.unparse(child.returns)}" if child.returns else ""
            lines.append(f"def {prefix}{child.name}({ast.unparse(child.args)}){returns}")
        elif isinstance(child, ast.ClassDef) and _public(child.name):
            bases = ", ".join(map(ast.unparse, child.bases))
            lines.append(f"class {prefix}{child.name}({bases})")
            lines += _members(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.AnnAssign) and prefix and _public(ast.unparse(child.target)):
            lines.append(f"field {prefix}{ast.unparse(child)}")
    return lines


def _public(name: str) -> bool:
    return not name.startswith("_")


def main(words: list[str]) -> None:
    """Rewrites the text; with `--check` ends with a message where it is out of date."""
    if "--check" not in words:
        FILE.write_text(surface())
    elif surface() != FILE.read_text():
        raise SystemExit(CHANGED)


if __name__ == "__main__":
    main(sys.argv[1:])
