"""Docstrings say what the types cannot: the shape of every array argument."""

import ast
import re

import pytest

from tests.architecture.source_tree import parse, problems, public_functions, python_files

SHAPE = re.compile(r"\[[^\]]*\]")  # [T, N, m], float[], int32[N], [...]
LEGEND = re.compile(r"every array argument is `\[", re.IGNORECASE)  # one shape for a whole file


def array_arguments(function: ast.FunctionDef) -> list[str]:
    """Arguments annotated as exactly `Array`; keys and pytrees have no shape to tell."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    return [a.arg for a in arguments if isinstance(a.annotation, ast.Name) and a.annotation.id == "Array"]


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions with array arguments whose docstring names no shape, nor does that of the file."""
    if LEGEND.search(ast.get_docstring(tree) or ""):
        return []
    return [
        function.name
        for function in public_functions(tree)
        if array_arguments(function) and not SHAPE.search(ast.get_docstring(function) or "")
    ]


def test_array_arguments_have_shapes():
    assert problems(lambda path: undocumented(parse(path)), python_files("jaxrl", "theory")) == {}


def test_rule_finds_a_missing_shape():
    source = (
        'def f(x: Array):\n    """No shape."""\n'
        'def g(x: Array, n: int):\n    """x: float[N]."""\n'
        'def h(key: Key):\n    """Nothing to tell."""\n'
        "def _i(x: Array): ...\n"
    )
    assert undocumented(ast.parse(source)) == ["f"]
    assert undocumented(ast.parse('"""Every array argument is `[T, N]`."""\n' + source)) == []


def test_every_file_says_what_it_is_for():
    files = python_files("jaxrl", "theory", "experiments", "benchmarks")
    assert problems(lambda path: [] if ast.get_docstring(parse(path)) else ["no docstring"], files) == {}


def test_a_rule_that_reads_no_file_does_not_pass():
    with pytest.raises(AssertionError, match="reads no file"):
        problems(lambda path: [], [])
