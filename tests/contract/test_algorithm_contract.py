"""What the driver and the sweep rely on, for every algorithm.

`tests/<package>/contract_cases.py` holds `CASES`: the name of a module of `jaxrl.<package>`, followed by
`: <which>` where one module makes several programs, and a function that gives `(algorithm, two
hyper-parameter records, data, observation space, action space)`. `FIXED` names the cases whose policy
never changes, where there are any.
"""

import ast
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxrl.core import spaces
from jaxrl.core.tree import tree_stack, tree_take
from jaxrl.core.types import Mean
from jaxrl.run.train import train

ROOT = Path(__file__).parents[2]
UPDATES = 20


def _load(path):
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_contract_cases", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MODULES = {
    ".".join(path.parent.relative_to(ROOT / "tests").parts): _load(path)
    for pattern in ("tests/*/contract_cases.py", "tests/*/*/contract_cases.py")
    for path in sorted(ROOT.glob(pattern))
}
PACKAGES = {package: module.CASES for package, module in MODULES.items()}
NAMES = [f"{package}/{name}" for package, cases in PACKAGES.items() for name in cases]


def _numbers(tree):
    """Leaves as numpy arrays, typed keys as their words."""
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)  # noqa: E731
    leaves = map(jnp.asarray, jax.tree.leaves(tree))
    return [np.asarray(jax.random.key_data(x) if is_key(x) else x) for x in leaves]


def _equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(_numbers(a), _numbers(b), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module", params=NAMES)
def run(request):
    """One algorithm after 20 single updates, made while the key checker watches."""
    package, name = request.param.split("/")
    algorithm, hypers, data, observation_space, action_space = PACKAGES[package][name]()
    first, second = (jax.tree.map(jnp.asarray, hyper) for hyper in hypers)
    traces = []

    def step(state, hyper, data):
        traces.append(0)
        return algorithm.step(state, hyper, data)

    with jax.debug_key_reuse(True):
        start = jax.jit(algorithm.init)(jax.random.key(0), first, data)
        one = jax.jit(step)
        state, history = start, []
        after_one, _ = one(start, first, data)
        for _ in range(UPDATES):
            state, metrics = one(state, first, data)
            history.append(metrics)
        other, _ = one(start, second, data)
    return SimpleNamespace(
        learns=name not in getattr(MODULES[package], "FIXED", ()),
        algorithm=algorithm,
        first=first,
        second=second,
        data=data,
        observation_space=observation_space,
        action_space=action_space,
        start=start,
        after_one=after_one,
        state=state,
        other=other,
        history=history,
        traces=len(traces),
    )


def test_state_counts_updates_and_keeps_its_key(run):
    assert run.start.updates.dtype == jnp.int32 and int(run.start.updates) == 0
    assert int(run.state.updates) == UPDATES
    _equal(run.start.key, run.state.key)
    assert any(
        not np.array_equal(a, b) for a, b in zip(_numbers(run.start), _numbers(run.state), strict=True)
    )


def test_one_trace_serves_all_hyper_parameters(run):
    assert run.traces == 1


def test_chunks_do_not_change_a_bit(run):
    def trained(chunk):
        members = jax.tree.map(lambda x: x[None], (jax.random.key(0), run.first))
        return train(
            run.algorithm, *members, run.data, updates=UPDATES, chunk=chunk, log_every=UPDATES, progress=False
        )

    whole, parts = trained(UPDATES), trained(3)  # the last call is shorter than the others
    _equal(whole.state, parts.state)
    _equal(whole.history, parts.history)


def test_members_of_a_population_are_the_single_runs(run):
    hypers = tree_stack([run.first, run.second])
    step = jax.jit(jax.vmap(run.algorithm.step, (0, 0, None)))
    states, _ = step(tree_stack([run.start, run.start]), hypers, run.data)
    for i, expected in enumerate((run.after_one, run.other)):
        for a, b in zip(_numbers(tree_take(states, i)), _numbers(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("greedy", [False, True])
def test_policies_carry_their_parameters_as_leaves(run, greedy):
    """What takes a policy is then compiled once, whatever the parameters are."""
    before, after = (run.algorithm.act(state, run.first, greedy) for state in (run.start, run.state))
    assert isinstance(before.act, Partial)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    leaves = zip(_numbers(before), _numbers(after), strict=True)
    assert any(not np.array_equal(a, b) for a, b in leaves) == run.learns


def test_metrics_are_flat_and_finite(run):
    for metrics in run.history:
        assert type(metrics) is dict and metrics
        for name, value in metrics.items():
            parts = value if isinstance(value, Mean) else (value,)
            assert all(jnp.ndim(part) <= 1 for part in parts), name
            assert all(np.all(np.isfinite(part)) for part in parts), name


def test_policies_act_inside_the_space_and_greedy_ones_ignore_the_key(run):
    obs = spaces.sample(run.observation_space, jax.random.key(1))
    actions = {}
    for greedy in (False, True):
        policy = run.algorithm.act(run.state, run.first, greedy)
        act = jax.jit(lambda key, p=policy: p.act(key, obs, p.memory))
        actions[greedy] = [act(jax.random.key(i))[0] for i in range(2)]
        _, _, memory = act(jax.random.key(0))
        assert jax.tree.map(jnp.shape, memory) == jax.tree.map(jnp.shape, policy.memory)
    assert all(spaces.contains(run.action_space, a) for pair in actions.values() for a in pair)
    _equal(*actions[True])


@pytest.mark.parametrize("package", PACKAGES)
def test_every_algorithm_of_a_package_has_a_case(package):
    makes = set()
    for path in (ROOT / "jaxrl" / package.replace(".", "/")).glob("*.py"):
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        if "make" in names:
            makes.add(path.stem)
    assert makes == {name.partition(":")[0] for name in PACKAGES[package]}
