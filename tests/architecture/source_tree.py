"""The tree as the architecture tests see it: files, layers, families, imports."""

import ast
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
LAYERS = ("core", "nets", "envs", "rollout", "data", "baselines", "run", "report", "cli")
CODE = ("jaxrl", "experiments", "theory", "benchmarks")


def families(root: Path = ROOT) -> list[str]:
    """Folders of `jaxrl/` that are no layer."""
    folders = (path.name for path in (root / "jaxrl").iterdir() if (path / "__init__.py").exists())
    return sorted(set(folders) - set(LAYERS))


def python_files(*folders: str, root: Path = ROOT) -> list[Path]:
    """Every module below the folders, as paths relative to the root."""
    found = (path for folder in folders for path in (root / folder).rglob("*.py"))
    return sorted(path.relative_to(root) for path in found)


@cache
def parse(path: Path) -> ast.Module:
    """Syntax tree of a file given relative to the root."""
    return ast.parse((ROOT / path).read_text(), str(path))


def problems(rule: Callable[[Path], Sequence], files: Iterable[Path]) -> dict[str, Sequence]:
    """What a rule finds, by the files in which it finds something: one test asks them all."""
    files = list(files)
    assert files, "a rule that reads no file finds nothing"
    return {path.as_posix(): found for path in files if (found := rule(path))}


class Import(NamedTuple):
    """One imported module: absolute dotted name, line, inside a function, by `import_module("name")`."""

    module: str
    line: int
    lazy: bool
    by_name: bool


def imports(path: Path, tree: ast.Module) -> list[Import]:
    """Every import of a module; `from a import b` counts as `a.b`, because `b` may be a module."""
    package = path.with_suffix("").parts[:-1]
    found = []

    def visit(node: ast.AST, lazy: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, lazy, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.extend(Import(f"{module}.{alias.name}", node.lineno, lazy, False) for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__"):
                found.append(Import(str(node.args[0].value), node.lineno, lazy, True))
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, False)
    return found


def public_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """Functions of a module that users may call."""
    return [node for node in tree.body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of names, "" of anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
