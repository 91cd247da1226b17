"""Key discipline: a key is split or folded, never both; folding is done in `core/prng.py` alone."""

import ast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.prng import step_keys
from tests.architecture.source_tree import dotted, parse, problems, python_files

FOLDS = {"stream", "streams", "step_keys", "fold_in"}
PRNG = "jaxrl/core/prng.py"
FUNCTION = (ast.FunctionDef, ast.Lambda)
LOOP = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def audit(tree: ast.Module) -> list[str]:
    """Keys that are both split and folded in one function, folds by hand, and splits in loops."""
    found = []

    def visit(node: ast.AST, uses: dict[str, set[str]], in_loop: bool) -> None:
        if isinstance(node, ast.Attribute) and node.attr == "fold_in":
            found.append(f"line {node.lineno}: fold_in; use jaxrl.core.prng.stream")
        if isinstance(node, ast.Call) and node.args:
            kind = dotted(node.func).rpartition(".")[2]
            is_split = dotted(node.func).endswith("random.split")
            if is_split and in_loop:
                found.append(f"line {node.lineno}: split in a loop; use jaxrl.core.prng.streams")
            if is_split or kind in FOLDS:
                key = ast.unparse(node.args[0])
                uses.setdefault(key, set()).add("split" if is_split else "fold")
                if len(uses[key]) == 2:
                    found.append(f"line {node.lineno}: {key} is both split and folded")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, FUNCTION):
                visit(child, dict(uses) if isinstance(child, ast.Lambda) else {}, False)
            else:
                visit(child, uses, in_loop or isinstance(node, LOOP))

    visit(tree, {}, False)
    return found


def test_keys_are_split_or_folded():
    files = [path for path in python_files("jaxrl", "experiments", "theory") if path.as_posix() != PRNG]
    assert problems(lambda path: audit(parse(path)), files) == {}


@pytest.mark.parametrize(
    "body",
    [
        "a, b = jax.random.split(key); c = stream(key, 1)",
        "a, b = jax.random.split(state.key); c = stream(state.key, 1)",
        "c = streams(key, 4); a, b = jax.random.split(key)",
        "c = jax.random.fold_in(key, 1)",
        "c = jax.vmap(jax.random.fold_in, (None, 0))(key, index)",
        "for i in range(3): key, b = jax.random.split(key)",
        "keys = [jax.random.split(k) for k in keys]",
    ],
)
def test_audit_finds(body):
    assert len(audit(ast.parse(f"def f(key):\n    {body}"))) == 1


def test_audit_allows_each_use_alone():
    source = "def f(key):\n    a, b = jax.random.split(key)\n    return streams(a, 3), stream(b, 0)\n"
    assert audit(ast.parse(source + "def g(key):\n    return stream(key, 0)\n")) == []


def test_step_keys_of_a_run_are_distinct():
    key, steps, n = jax.random.key(0), 500, 67
    keys = jax.jit(jax.vmap(lambda t: jnp.stack(step_keys(key, t, n))))(jnp.arange(steps))
    rows = np.asarray(jax.random.key_data(keys)).reshape(-1, 2)
    assert len(np.unique(rows, axis=0)) == steps * n * 3 > 100_000
