"""Words of the glossary in identifiers, docstrings, comments and prose, counted by patterns."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from tests.architecture.source_tree import CODE, ROOT, parse, problems, python_files

# pattern -> what to write; each pattern states the sense, so that mass of a body or regret of a bandit pass
WORDS = {
    r"\b(?<![Pp]ower )laws?\b(?! of (large numbers|total|cosines|motion))": "distribution",
    r"\b(state|action|reward|start|initial|visitation|sampling)_law\b": "distribution",
    r"\b(?<![Ss]tandard )(?<!absolute )deviations?\b(?= (of|over|per|1\b|for all))": "standard deviation",
    r"\blog deviations?\b": "standard deviation",
    r"\bmass(es)? (of|over) (the )?(rows|batch|data|samples|pairs|states|transitions)\b": "weights",
    r"\brows\.mass\b|\bwith `?mass`?\b": "weights",
    r"\b(\w+\.)?going\b(?= (is|[*=\[:])|`)": "discount or not_done",
    r"\bslow (network|copy|copies|value|critic)s?\b|\bslow_(params|net)\b": "target network",
    r"\btargets? (follow|step)s?\b|\bsteps? of targets? towards\b|\bdef follow\b": "soft update",
    r"\bregret\b(?= of the (actor|policy))|\bdef regret\b(?=\(actor)": "actor loss",
    r"\bdashboards?\b": "diagnostics",
    r"^Numbers(\.|,|;| that)": "Hyper-parameters",
    r"\bpulls? (along|back|through|on the)\b": "gradient or vjp",
    r"\b(sampled|drawn|minibatch of|batch of) rows\b|\brows of a (mini)?batch\b": "batch",
}
FRAGMENT = re.compile(
    r"^(Of|With|As|Where|When|Which|That|Whose|For|And|Or|But|In|On|To|By|At|See|Likewise|Same|Ditto)\b"
    r"|^(?!jaxrl:)[a-z][\w`]*(, [\w`]+)*:( |$)"  # a list of fields
    r"|^`?\w+`?\[[^\]]*\]`?[.,;]?$"  # a type alone
)
TEST_NUMBERS = re.compile(r"^test_[a-z]\d{1,2}(_|$)")
PROSE = ("README.md", "CHANGELOG.md", "docs", "jaxrl", "experiments", "theory", "notebooks")
GLOSSARY = "CONTRIBUTING.md"


def comments(text: str) -> list[tuple[int, str]]:
    """Line and text of every comment of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [(t.start[0], t.string.lstrip("# ")) for t in tokens if t.type == tokenize.COMMENT]


def texts(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and text of every string and name of a module: docstrings, messages, identifiers."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((node.lineno, node.value))
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append((node.lineno, f"def {node.name}"))
        elif isinstance(node, ast.arg):
            found.append((node.lineno, node.arg))
    return found


def misused(text: str) -> list[str]:
    """Words of a text that the glossary has another one for."""
    flat = re.sub(r"\s+", " ", text)
    return [
        f"{found[0]!r}: write {word}"
        for pattern, word in WORDS.items()
        for found in re.finditer(pattern, flat)
    ]


def first_lines(tree: ast.Module) -> list[tuple[int, str]]:
    """Line and first line of the docstrings of a module, its public classes and functions."""
    found = [(1, ast.get_docstring(tree) or "")]
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            found.append((node.lineno, ast.get_docstring(node) or ""))
    return [(line, text.partition("\n")[0]) for line, text in found if text]


def misused_lines(path: Path) -> list[str]:
    """What the glossary has another word for in a module, by line."""
    found = [*texts(parse(path)), *comments((ROOT / path).read_text())]
    return [f"{line}: {hit}" for line, text in found for hit in misused(text)]


@pytest.mark.parametrize("folder", [*CODE, "notebooks", "tests"])
def test_modules_use_the_words_of_the_field(folder):
    files = [path for path in python_files(folder) if path != Path(__file__).relative_to(ROOT)]
    assert problems(misused_lines, files) == {}


def pages() -> list[Path]:
    """Prose of the repository, the glossary itself left out."""
    places = [ROOT / name for name in PROSE]
    found = [p for place in places for p in ([place] if place.is_file() else place.rglob("*.md"))]
    return sorted(p.relative_to(ROOT) for p in found)


def misused_words(page: Path) -> list[str]:
    """What the glossary has another word for in a page."""
    text = (ROOT / page).read_text()
    if page.name == "CHANGELOG.md":  # it quotes names that are gone
        text = re.sub(r"`[^`]*`", "", text)
    return misused(text)


def test_pages_use_the_words_of_the_field():
    assert problems(misused_words, pages()) == {}


def fragments(path: Path) -> list[str]:
    """First lines of docstrings of a module that cannot be read alone."""
    found = first_lines(parse(path))
    if path.stem.startswith("thm_"):  # a theorem may begin with its assumptions
        found = found[1:]
    return [f"{line}: {text}" for line, text in found if FRAGMENT.search(text)]


def test_first_lines_of_docstrings_can_be_read_alone():
    assert problems(fragments, python_files("jaxrl", "theory", "experiments", "benchmarks")) == {}


def numbered(path: Path) -> list[str]:
    """Names in a test file that say a number and not what is asserted."""
    names = [node.name for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef)]
    return [name for name in (*names, path.stem) if TEST_NUMBERS.search(name)]


def test_tests_go_by_what_they_assert():
    assert problems(numbered, python_files("tests")) == {}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("the law of the start state", "distribution"),
        ("deviation of the features", "standard deviation"),
        ("mass of the rows", "weights"),
        ("a slow network", "target network"),
        ("targets follow their networks", "soft update"),
        ("regret of the actor", "actor loss"),
        ("the dashboard", "diagnostics"),
        ("Numbers.", "Hyper-parameters"),
        ("it pulls back along the map", "gradient or vjp"),
        ("rows of a batch", "batch"),
    ],
)
def test_words_of_the_glossary_are_found(text, word):
    assert any(hit.endswith(f"write {word}") for hit in misused(text))


@pytest.mark.parametrize(
    "text",
    [
        "regret of a bandit", "the mass of the pole", "pulls of an arm", "the marker slow", "rows of a table",
        "the law of large numbers", "standard deviation of the returns",
    ],
)  # fmt: skip
def test_other_senses_pass(text):
    assert misused(text) == []


def test_fragments_are_found():
    tree = ast.parse('"""A module."""\ndef f():\n    """Of one row."""\ndef g():\n    """The mean."""\n')
    assert [text for _, text in first_lines(tree) if FRAGMENT.search(text)] == ["Of one row."]


def test_the_glossary_of_the_house_rules_names_every_word():
    page = (ROOT / GLOSSARY).read_text()
    assert all(word.split(" or ")[0].lower() in page.lower() for word in WORDS.values())
