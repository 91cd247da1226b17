"""The equation index: every tag is unique, cited, tested, and listed in its README."""

import ast
from collections import Counter

import pytest

from jaxrl.equations import BEGIN, END, Equation, collect, references, table, with_table
from tests.architecture.source_tree import ROOT, parse, python_files

EQUATIONS = collect()


def test_tags_are_unique():
    counts = Counter((e.citekey, e.label) for e in EQUATIONS)
    assert [tag for tag, n in counts.items() if n > 1] == []


def test_citekeys_are_listed_once():
    lists = [ROOT / "jaxrl" / "REFERENCES.md", *(ROOT / "jaxrl").glob("*/README.md")]
    keys = [key for path in lists for key in references(path.read_text())]
    assert [key for key, n in Counter(keys).items() if n > 1] == []
    assert {e.citekey for e in EQUATIONS} <= set(keys)


def test_readme_tables_are_current():
    readmes = sorted((ROOT / "jaxrl").glob("*/README.md"))
    stale = [
        path for path in readmes if with_table(path.read_text(), collect(path.parent)) != path.read_text()
    ]
    assert stale == [], "run python -m jaxrl.equations"


def words_of_tests() -> set[str]:
    """Names that test files use or give to parametrised tests, and the parts of their tests' names."""
    words = set()
    for path in python_files("tests"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words |= set(node.name.split("_"))
            elif isinstance(node, ast.Name | ast.Attribute):
                words.add(node.id if isinstance(node, ast.Name) else node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words.add(node.value)
    return words


def test_every_tagged_function_is_tested():
    functions = {equation.function.rpartition(".")[2] for equation in EQUATIONS}
    assert functions - words_of_tests() == set()


def test_collect_reads_functions_and_methods(tmp_path):
    (tmp_path / "a.py").write_text(
        '"""Equation: no_function (1)"""\n'
        'def f():\n    """Text.\n\n    Equation: doe2020x (12)\n    Equation: doe2020x (9)\n    """\n'
        'class C:\n    def g(self):\n        """Equation: abel1999y [main bound]"""\n'
    )
    assert collect(tmp_path) == [
        Equation("abel1999y", "[main bound]", "C.g", "a.py", 9),
        Equation("doe2020x", "(9)", "f", "a.py", 2),
        Equation("doe2020x", "(12)", "f", "a.py", 2),
    ]


@pytest.mark.parametrize(
    "line", ["Equation: doe2020x 12", "Equation: (12)", "Equation: doe2020x (12) and more"]
)
def test_collect_refuses_a_tag_it_cannot_read(tmp_path, line):
    (tmp_path / "a.py").write_text(f'def f():\n    """{line}"""\n')
    with pytest.raises(ValueError, match=r"a\.py:1 f"):
        collect(tmp_path)


def test_with_table_replaces_what_stands_between_the_markers():
    one = [Equation("doe2020x", "(9)", "f", "a.py", 2)]
    readme = f"# Family\n\n{BEGIN}\nold\n{END}\nafter\n"
    assert with_table(readme, one) == f"# Family\n\n{BEGIN}\n{table(one)}\n{END}\nafter\n"
    assert with_table("plain", []) == "plain"
    with pytest.raises(ValueError, match="no place"):
        with_table("plain", one)
