"""Every field of a configuration says what it means: an attribute docstring in full sentences."""

import ast

import pytest

from tests.architecture.source_tree import parse, problems, python_files

CONFIGURATIONS = ("Config", "Hyper", "Options")


def configurations(tree: ast.Module) -> list[ast.ClassDef]:
    """Classes of a module that hold a configuration: their names end with one of the words above."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return [node for node in classes if node.name.endswith(CONFIGURATIONS)]


def silent_fields(tree: ast.Module) -> list[str]:
    """Fields of configurations without a docstring that begins like a sentence and ends like one."""
    found = []
    for owner in configurations(tree):
        for field, after in zip(owner.body, [*owner.body[1:], ast.Pass()], strict=True):
            if not isinstance(field, ast.AnnAssign) or "ClassVar" in ast.unparse(field.annotation):
                continue
            text = ""
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = str(after.value.value)
            if len(text.split()) < 3 or not text[0].isupper() or not text.rstrip().endswith("."):
                found.append(f"line {field.lineno}: {owner.name}.{ast.unparse(field.target)}")
    return found


def untyped_fields(tree: ast.Module) -> list[str]:
    """Fields of configurations that say `Any`, which no check and no command line can read."""
    return [
        f"line {field.lineno}: {owner.name}.{ast.unparse(field.target)}"
        for owner in configurations(tree)
        for field in owner.body
        if isinstance(field, ast.AnnAssign) and ast.unparse(field.annotation) == "Any"
    ]


@pytest.mark.parametrize("rule", [silent_fields, untyped_fields])
def test_every_field_of_a_configuration_explains_itself_and_has_a_type(rule):
    assert problems(lambda path: rule(parse(path)), python_files("jaxrl", "experiments")) == {}


def test_silent_and_untyped_fields_are_found():
    source = (
        "class Config:\n    a: int = 1\n    b: int = 2\n"
        '    """Number of layers, at least 1."""\n    c: Any = 3\n    """width"""\n'
    )
    tree = ast.parse(source)
    assert silent_fields(tree) == ["line 2: Config.a", "line 5: Config.c"]
    assert untyped_fields(tree) == ["line 5: Config.c"]
