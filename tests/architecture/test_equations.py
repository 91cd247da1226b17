"""The equation index: every tag is unique, cited, tested, and listed in its README."""

import ast
from collections import Counter

from jaxrl.equations import collect, references, with_table
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
