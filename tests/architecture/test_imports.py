"""Who may import whom: the table of layers, and what each layer may use from outside."""

import ast
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import (
    CODE,
    LAYERS,
    ROOT,
    families,
    imports,
    parse,
    problems,
    python_files,
)

COMMON = {"jax", "numpy", "optax", "chex"}
# layer -> (what it may import from jaxrl, which libraries beside the common ones)
TABLE = {
    "core": (set(), {"flax.struct"}),
    "nets": ({"core"}, {"flax.linen", "distrax"}),
    "envs": ({"core"}, set()),
    "rollout": ({"core", "envs.base"}, set()),
    "data": ({"core", "envs.base", "rollout"}, {"h5py"}),
    "baselines": ({"core", "nets", "envs", "rollout", "data"}, set()),
    "run": ({"core"}, set()),
    "report": ({"core", "run"}, {"scipy"}),
    "cli": ({"core", "run", "report"}, set()),
}
FAMILY = {"core", "nets", "envs", "rollout", "data", "baselines"}
FAMILY_LAZY = {"scipy"}  # of every family, inside functions: exact programmes on the host
# single files that hide one library from everybody else
FILES = {
    "jaxrl/run/checkpoint.py": {"orbax"},
    "jaxrl/cli/help.py": {"tyro"},
    "jaxrl/cli/options.py": {"tyro"},
    "jaxrl/run/log.py": {"rich"},
    "jaxrl/report/plots.py": {"matplotlib"},
    "jaxrl/envs/adapters/gymnasium_env.py": {"gymnasium"},
}
# only inside functions, so that importing the module stays light and works without the library
LAZY = {
    "jaxrl/envs/render.py": {"PIL"},
    "jaxrl/envs/adapters/brax.py": {"brax", "mujoco"},
    "jaxrl/envs/adapters/gymnasium.py": {"gymnasium"},
    "jaxrl/envs/adapters/gymnax.py": {"gymnax"},
    "jaxrl/data/minari.py": {"minari"},
    "jaxrl/cli/running.py": {"submitit"},
    "jaxrl/cli/export.py": {"pyarrow"},
    "jaxrl/report/curves.py": {"pandas"},
    "jaxrl/run/log.py": {"IPython"},
}
# the same for every file of a family, whose import would otherwise load it into each process of a run
FAMILY_LAZY = {"scipy"}
THEORY_LIBRARIES = COMMON | {"scipy"}
EXPERIMENT_LIBRARIES = COMMON | {"scipy", "matplotlib"}


def _within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(name + ".") for name in allowed)


def forbidden(path: Path, tree=None, family_names: tuple[str, ...] | None = None) -> list[str]:
    """What a file imports although the table does not allow it, one line each."""
    family_names = families() if family_names is None else family_names
    own, libraries = _allowed(path, family_names)
    lazy_only = LAZY.get(path.as_posix(), set())
    if path.parts[0] == "jaxrl" and len(path.parts) > 2 and path.parts[1] in family_names:
        lazy_only = lazy_only | FAMILY_LAZY
    found = []
    for module, line, lazy, by_name in imports(path, parse(path) if tree is None else tree):
        top = module.partition(".")[0]
        if top in sys.stdlib_module_names:
            continue
        if by_name and path.parts[1] in ("run", "cli") and top in ("experiments", "theory"):
            continue  # the command line finds them by name
        inside = top in (*CODE, "tests", "notebooks", "dev")
        ok = _within(module, own if inside else libraries) or (lazy and _within(module, lazy_only))
        if not ok:
            found.append(f"{path}:{line} may not import {module}{'' if lazy else ' at module level'}")
    return found


def _allowed(path: Path, family_names) -> tuple[set[str], set[str]]:
    top, *rest = path.parts
    group = rest[0] if len(rest) > 1 else ""
    libraries = COMMON | FILES.get(path.as_posix(), set())
    if top == "jaxrl":
        if group in TABLE:
            shared, extra = TABLE[group]
            return {f"jaxrl.{name}" for name in shared | {group}}, libraries | extra
        if group in family_names:
            return {f"jaxrl.{name}" for name in FAMILY | {group}}, libraries
        return set(), set()  # the package's own files: the standard library alone
    if top == "theory":
        if group == "exact":
            return {"jaxrl.core", "jaxrl.envs", "theory.exact"}, THEORY_LIBRARIES
        if group:
            shared = {"core", "nets", "envs", "rollout", "baselines", group}
            return {f"jaxrl.{name}" for name in shared} | {
                "theory.exact",
                f"theory.{group}",
            }, THEORY_LIBRARIES
        return {"jaxrl.core", "theory"}, THEORY_LIBRARIES
    if top == "experiments":
        shared = {m for folder in (group, "data", "shared") for m in _shared_by_experiments(folder)}
        own = {".".join(path.with_suffix("").parts[:3]), *shared}
        return {"jaxrl", "theory", *own}, EXPERIMENT_LIBRARIES
    raise AssertionError(f"{path}: no rule for this folder")


def _shared_by_experiments(family: str) -> set[str]:
    """Files of a family's experiments that are no experiment, having no presets."""
    files = python_files(f"experiments/{family}")
    return {".".join(p.with_suffix("").parts) for p in files if "PRESETS = " not in (ROOT / p).read_text()}


def test_imports_follow_the_table():
    assert problems(forbidden, python_files("jaxrl", "theory", "experiments")) == {}


def test_package_files_import_nothing():
    files = [path for path in python_files(*CODE) if path.name == "__init__.py"]
    assert problems(lambda path: imports(path, parse(path)), files) == {}


def test_layers_of_the_tree_are_the_layers_of_the_table():
    assert set(TABLE) == set(LAYERS)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("jaxrl/core/tree.py", "import jaxrl.envs.base"),
        ("jaxrl/core/tree.py", "import flax.linen"),
        ("jaxrl/nets/net.py", "from jaxrl import envs"),
        ("jaxrl/envs/tabular/mdp.py", "from jaxrl.rollout import unroll"),
        ("jaxrl/envs/tabular/mdp.py", "from ...rollout import unroll"),
        ("jaxrl/rollout/unroll.py", "from jaxrl.envs.control.cartpole import CartPole"),
        ("jaxrl/rollout/unroll.py", "from jaxrl.nets.net import mlp"),
        ("jaxrl/baselines/ppo.py", "from jaxrl.run.train import train"),
        ("jaxrl/run/train.py", "from jaxrl.rollout.evaluate import evaluate"),
        ("jaxrl/run/train.py", "import orbax.checkpoint"),
        ("jaxrl/cli/main.py", "import importlib; importlib.import_module('jaxrl.baselines.ppo')"),
        ("jaxrl/envs/adapters/brax.py", "import brax"),
        ("jaxrl/envs/control/cartpole.py", "def f():\n    import brax"),
        ("jaxrl/equations.py", "import jax"),
        ("jaxrl/first/method.py", "from jaxrl.second import objectives"),
        ("jaxrl/first/method.py", "from jaxrl.run import train"),
        ("jaxrl/first/method.py", "from scipy import stats"),
        ("jaxrl/envs/base.py", "def f():\n    from scipy import stats"),
        ("jaxrl/first/method.py", "from scipy.optimize import linprog"),
        ("jaxrl/first/method.py", "def f():\n    import torch"),
        ("jaxrl/baselines/ppo.py", "def f():\n    import scipy.optimize"),
        ("jaxrl/core/tree.py", "import theory.exact"),
        ("jaxrl/baselines/ppo.py", "import experiments.baselines"),
        ("theory/exact/lp.py", "import jaxrl.rollout.unroll"),
        ("theory/first/thm_1_a.py", "import jaxrl.second.objectives"),
        ("experiments/first/a.py", "from experiments.first import b"),
        ("experiments/first/a.py", "from experiments.data import suites"),
    ],
)
def test_table_refuses(path, line):
    names = ("first", "second")
    assert len(forbidden(Path(path), ast.parse(line), names)) == 1


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (
            "jaxrl/first/method.py",
            "from jaxrl.baselines import ppo\nfrom jaxrl.first.objectives import x\nimport optax",
        ),
        ("jaxrl/envs/adapters/brax.py", "def f():\n    import brax.envs"),
        ("jaxrl/first/method.py", "def f():\n    from scipy.optimize import linprog"),
        ("jaxrl/first/method.py", "def f():\n    from scipy.optimize import linprog"),
        ("theory/first/thm_1_a.py", "from theory.exact import lp\nfrom jaxrl.first import objectives"),
        ("experiments/first/a.py", "from jaxrl.second import b\nfrom jaxrl.run.train import train"),
        ("experiments/first/a/plot.py", "from experiments.first.a import setting"),
        ("experiments/first/a.py", "from experiments.data.recipes import suite"),
    ],
)
def test_table_allows(path, line):
    assert forbidden(Path(path), ast.parse(line), ("first", "second")) == []
