"""The sub-problem of CPO against values by hand and a cone solver, and its step as a learning step of PPO."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.morl import cpo

DELTA = 0.01
INFEASIBLE = [15, 22, 39, 54, 71, 86]
sub_problem = jax.jit(cpo.sub_problem)


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def solve(H, g, B, c):
    """`(solution, x)` of dense matrices in float64."""
    hg, hB = np.linalg.solve(H, g), np.linalg.solve(H, B)
    numbers = (g @ hg, B.T @ hg, B.T @ hB, c, DELTA)
    solution = sub_problem(*(jnp.asarray(x, jnp.float64) for x in numbers))
    return solution, np.asarray(solution.alpha * hg + hB @ np.asarray(solution.beta))


def solve_instance(i):
    """`(H, g, B, c, solution, x)`, with constraints that always hold up to 8, so that all compile once."""
    H, g, B, c = instance(i)
    more = 8 - len(c)
    solution, x = solve(H, g, np.pad(B, ((0, 0), (0, more))), np.pad(c, (0, more), constant_values=-1.0))
    return H, g, B, c, solution._replace(nu=np.asarray(solution.nu)[: len(c)]), x


def instance(i):
    """`(H, g, B, c)` of 12 parameters and 1 + (i mod 8) constraints."""
    a, b, j = np.arange(12)[:, None], np.arange(12), np.arange(1 + i % 8)
    L = np.sin(1 + 2 * a + 3 * b + 5 * i + a * b) / 2
    B = np.sin(2 + 5 * a + 7 * j + 11 * i + a * j)
    return np.eye(12) + L @ L.T, np.cos(3 * b + i), B, 0.1 * np.cos(3 + 2 * j + i)


@pytest.mark.parametrize(
    ("c", "x", "nu", "lam"),
    [
        (0.05, (0.01714055, 0.13428109), 0.36703817, 8.48867752),
        (-1.0, (0.04623712, 0.11229014), 0.0, 7.92636233),
        (0.5, (-0.08771218, 0.0991529), 0.0, 0.0),
    ],
)
def test_one_constraint_violated_met_and_out_of_reach(float64, c, x, nu, lam):
    """Recoverable, inactive, and infeasible, where c^2 / S = 0.2653 is more than 2 delta."""
    H, B = np.array([[2.0, 0.3], [0.3, 1.0]]), np.array([[1.0], [-0.5]])
    solution, found = solve(H, np.ones(2), B, np.array([c]))
    np.testing.assert_allclose(found, x, atol=1e-7)
    np.testing.assert_allclose(solution.nu, [nu], atol=1e-7)
    assert float(solution.lam) == pytest.approx(lam, abs=1e-6)
    assert bool(solution.feasible) == (c < 0.5)
    assert found @ H @ found / 2 == pytest.approx(DELTA, rel=1e-6)
    if c == 0.5:
        assert float(solution.violation) == pytest.approx(0.2653 / 2, abs=1e-4)


def test_a_gradient_in_the_span_of_the_constraints_leaves_the_trust_region_inactive(float64):
    H = np.array([[2.0, 0.3], [0.3, 1.0]])
    solution, x = solve(H, np.ones(2), np.eye(2), np.array([-0.03, -0.05]))
    np.testing.assert_allclose(x, [0.03, 0.05], atol=1e-8)
    np.testing.assert_allclose(solution.nu, [1.0, 1.0], atol=1e-7)
    assert float(solution.lam) == 0.0 and x @ H @ x / 2 < DELTA


def test_constraints_that_repeat_or_do_not_depend_on_the_step(float64):
    """The same constraint twice is one; a row of zeros holds or cannot be mended."""
    H, g, b = np.diag([1.0, 2.0, 3.0]), np.ones(3), np.array([[1.0], [-1.0], [0.5]])
    _, once = solve(H, g, b, np.array([0.02]))
    for B, c in (
        (np.hstack([b, b]), [0.02, 0.02]),
        (np.hstack([b, b]), [0.02, 0.01]),
        (np.hstack([b, 0 * b]), [0.02, -1.0]),
    ):
        solution, x = solve(H, g, B, np.array(c))
        assert solution.feasible
        np.testing.assert_allclose(x, once, atol=1e-7)
    solution, x = solve(H, g, np.hstack([b, 0 * b]), np.array([-0.5, 1.0]))
    assert not solution.feasible and np.all(np.isfinite(x))
    solution, x = solve(H, g, np.hstack([b, -b]), np.array([0.02, 0.02]))  # b x <= -0.02 and b x >= 0.02
    assert not solution.feasible and np.all(np.isfinite(x))


def test_formula_instances_have_the_optimal_values_of_a_cone_solver(float64):
    """Sums over 94 feasible instances with up to 8 constraints, and over 6 infeasible ones (CLARABEL)."""
    gains, violations, active = [], [], np.zeros(9, int)
    for i in range(100):
        H, g, B, c, solution, x = solve_instance(i)
        assert bool(solution.feasible) == (i not in INFEASIBLE)
        assert x @ H @ x / 2 <= DELTA * (1 + 1e-8)
        if i in INFEASIBLE:
            violations.append(float(solution.violation))
            continue
        assert np.all(c + B.T @ x <= 1e-8)
        assert float(solution.gain) == pytest.approx(g @ x, rel=1e-9)
        # stationary: g = B nu + lam H x, with nu >= 0 on equalities alone
        np.testing.assert_allclose(g, B @ solution.nu + float(solution.lam) * H @ x, atol=1e-5)
        assert np.all(np.asarray(solution.nu) >= -1e-6)
        np.testing.assert_allclose(np.asarray(solution.nu) * (c + B.T @ x), 0.0, atol=1e-7)
        gains.append(float(solution.gain))
        active[(np.asarray(solution.nu) > 1e-9).sum()] += 1
        if i == 0:
            assert gains[-1] == pytest.approx(0.2847712754, abs=1e-8)
        if i == 7:
            assert gains[-1] == pytest.approx(0.2681648250, abs=1e-8)
            assert float(solution.lam) == pytest.approx(26.56796797, rel=1e-6)
            expected = [0, 1.69738082, 0, 0, 0.76195617, 0.47233104, 0, 1.18752096]
            np.testing.assert_allclose(solution.nu, expected, atol=1e-6)
    assert sum(gains) == pytest.approx(18.1506641095, abs=1e-6)
    assert sum(violations) == pytest.approx(0.1072868575, abs=1e-6)
    assert active.tolist() == [6, 25, 20, 20, 17, 2, 3, 1, 0]


@pytest.mark.parametrize("i", [0, 7, 30, *INFEASIBLE[:2], pytest.param(None, marks=pytest.mark.slow)])
def test_steps_are_those_of_cvxpy(float64, i):
    cvxpy = pytest.importorskip("cvxpy", reason="cvxpy is the oracle of the sub-problem: pip install cvxpy")
    for number in range(100) if i is None else [i]:
        H, g, B, c, _, x = solve_instance(number)
        variable = cvxpy.Variable(12)
        within = cvxpy.sum_squares(np.linalg.cholesky(H).T @ variable) / 2
        if number in INFEASIBLE:
            # the nearest point that meets the constraints, cut at the trust region
            nearest = cvxpy.Problem(cvxpy.Minimize(within), [c + B.T @ variable <= 0])
            v = nearest.solve(solver="CLARABEL")
            assert v > DELTA
            expected = np.sqrt(DELTA / v) * variable.value
        else:
            best = cvxpy.Problem(cvxpy.Maximize(g @ variable), [c + B.T @ variable <= 0, within <= DELTA])
            assert best.solve(solver="CLARABEL") == pytest.approx(g @ x, abs=1e-6)
            expected = variable.value
        np.testing.assert_allclose(x, expected, atol=1e-4)


def test_single_precision_in_batches_is_close():
    """The same instances of equal size as one batch of float32, as a population has them."""
    numbers = [i for i in range(100) if i % 8 == 4 and i not in INFEASIBLE]
    problems = []
    for H, g, B, c in map(instance, numbers):
        hg, hB = np.linalg.solve(H, g), np.linalg.solve(H, B)
        problems.append((g @ hg, B.T @ hg, B.T @ hB, c))
    q, r, S, c = (jnp.asarray(np.stack(x), jnp.float32) for x in zip(*problems, strict=True))
    single = jax.jit(jax.vmap(cpo.sub_problem, (0, 0, 0, 0, None)))(q, r, S, c, jnp.float32(DELTA))
    assert np.all(single.feasible)
    with jax.enable_x64(True):
        gains = [float(solve_instance(i)[4].gain) for i in numbers]
    np.testing.assert_allclose(single.gain, gains, rtol=2e-3)


def test_steps_of_trees_are_those_of_the_dense_problem(float64):
    """Objective 1 of three is extended; parameters are a tree, the Fisher matrix a product."""
    H, _, B, _ = instance(2)
    returns, thresholds = jnp.array([1.0, 2.0, 3.0]), jnp.array([1.02, 9.0, 2.9])
    limits = cpo.Limits(jnp.array([0.0, 1.0, 0.0]), thresholds, returns, jnp.float64(1), DELTA, 0.1)
    rows = B.T  # gradients of the three returns

    def tree(v):
        return {"a": jnp.asarray(v[..., :4]).reshape(*v.shape[:-1], 2, 2), "b": jnp.asarray(v[..., 4:])}

    def flat(tree):
        return jnp.concatenate([tree["a"].reshape(-1), tree["b"]])

    def product(v):
        return tree(jnp.asarray(H - 0.1 * np.eye(12)) @ flat(v))

    step, solution = jax.jit(lambda rows: cpo.constrained_step(product, rows, limits, iterations=40))(
        tree(rows)
    )
    expected, x = solve(H, rows[1], -rows[[0, 2]].T, np.array([0.02, -0.1]))
    np.testing.assert_allclose(flat(step), x, atol=1e-6)
    np.testing.assert_allclose(solution.nu, expected.nu, atol=1e-6)
    assert float(solution.lam) == pytest.approx(float(expected.lam), rel=1e-6)


@pytest.fixture(scope="module")
def learner():
    """PPO with the step of CPO on a random problem of two objectives: `(step, state, hyper, data, parts)`."""
    mdp = jax.tree.map(jnp.asarray, random_mdp(jax.random.key(0), 4, 3, reward_dim=2))
    # objectives that are against each other for the greater part
    mdp = mdp.replace(R=mdp.R.at[..., 1].set(0.3 * mdp.R[..., 1] - 0.7 * mdp.R[..., 0]))
    config = ppo.Config(n_envs=8, length=16, epochs=2, minibatches=2, widths=())
    caught = {}
    inner = cpo.learning_step(cpo.Config())

    def learn(parts, state, samples, hyper, key):
        caught["parts"] = parts
        params, opt_state, metrics = inner(parts, state, samples, hyper, key)
        metrics["samples"] = samples
        return params, opt_state, metrics

    env = Tabular.of(mdp)
    algorithm = ppo.make(config, env, learn=learn)
    hyper = ppo.Hyper(w=jnp.array([1.0, 0.0]), gamma=0.9, surrogate=limits(-9.0))
    state = jax.jit(algorithm.init)(jax.random.key(1), hyper, mdp)
    return jax.jit(algorithm.step), state, hyper, mdp, caught


def limits(threshold, returns=(1.0, 1.0)):
    numbers = (jnp.array([1.0, 0.0]), jnp.array([0.0, threshold]), jnp.array(returns))
    return cpo.Limits(*numbers, jnp.float32(10.0), jnp.float32(0.01), jnp.float32(0.1))


def estimates(parts, actor, samples, own):
    """Estimated returns of other parameters, and their divergence from those that sampled, by definition."""
    x, raw = samples.x.reshape(-1, samples.x.shape[-1]), samples.raw.reshape(-1)
    log_probs = jax.nn.log_softmax(parts.nets.actor.apply(actor, x))
    old = samples.log_prob.reshape(-1)
    ratio = np.exp(np.asarray(log_probs[np.arange(len(raw)), raw] - old))
    A = np.asarray(samples.advantages).reshape(-1, 2)
    return np.asarray(own.returns) + float(own.length) * np.mean((ratio - 1)[:, None] * (A - A.mean(0)), 0)


def test_steps_gain_within_the_trust_region_and_hold_the_other_return(learner):
    step, state, hyper, data, caught = learner
    values = {}
    for threshold in (-9.0, 0.95, 1.05, 50.0):
        own = limits(threshold)
        new, metrics = step(state, hyper.replace(surrogate=own), data)
        samples = metrics["samples"]
        found = estimates(caught["parts"], new.params["actor"], samples, own)
        values[threshold] = found
        assert float(metrics["cpo/kl"]) <= 1.5 * 0.01 and float(metrics["cpo/length"]) > 0
        assert found[1] >= min(threshold, 1.0) - 1e-5
        assert bool(metrics["cpo/feasible"]) == (threshold < 50)
        assert int(metrics["cpo/active"]) == (0 < threshold < 50)
    # the stricter the bound the smaller the gain; a violated one is approached at a gain, or at all cost
    assert values[-9.0][0] > values[0.95][0] > values[1.05][0] > 1.0
    assert values[-9.0][1] < 0.95 and values[50.0][1] > values[1.05][1] > 1.0


def test_the_critic_takes_the_epochs_of_ppo_and_the_actor_none(learner):
    step, state, hyper, data, caught = learner
    new, metrics = step(state, hyper, data)
    parts = caught["parts"]._replace(surrogate=lambda ratio, *_: 0 * ratio)
    assert float(metrics["policy_loss"]) == 0.0 and float(metrics["value_loss"]) > 0
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), new.params, state.params)
    assert min(jax.tree.leaves(moved)) > 0
    # the optimiser has never seen a gradient of the actor
    zero = jax.tree.map(lambda x: float(jnp.abs(x).max()), new.opt_state.mu["actor"])
    assert set(jax.tree.leaves(zero)) == {0.0}
    _, k_learn = jax.random.split(stream(state.key, state.updates))
    epochs = jax.jit(lambda samples, hyper: ppo.proximal_epochs(parts, state, samples, hyper, k_learn)[0])
    params = epochs(metrics["samples"], hyper.replace(entropy=jnp.float32(0)))
    jax.tree.map(np.testing.assert_array_equal, params["critic"], new.params["critic"])
    jax.tree.map(np.testing.assert_array_equal, params["actor"], state.params["actor"])


def test_a_step_that_no_trial_fits_is_none(learner):
    """Estimates that are not finite meet no bound, so that the actor stays, and the critic learns."""
    step, state, hyper, data, _ = learner
    new, metrics = step(state, hyper.replace(surrogate=limits(0.0, (jnp.nan, jnp.nan))), data)
    assert float(metrics["cpo/length"]) == 0.0 == float(metrics["cpo/kl"])
    jax.tree.map(np.testing.assert_array_equal, new.params["actor"], state.params["actor"])
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), new.params, state.params)["critic"]
    assert min(jax.tree.leaves(moved)) > 0


def test_refuses_more_than_nine_objectives_and_what_has_no_step():
    cpo.check_objectives(9)
    with pytest.raises(UsageError, match=r"^optimiser: CPO solves for at most 8 constraints and 10 [^\n]+$"):
        cpo.check_objectives(10)
    mdp = jax.tree.map(jnp.asarray, random_mdp(jax.random.key(0), 2, 2, reward_dim=2))
    config = ppo.Config(n_envs=2, length=4, epochs=1, minibatches=1, widths=(), memory=3, shuffle="envs")
    algorithm = ppo.make(config, Tabular.of(mdp), learn=cpo.learning_step(cpo.Config()))
    hyper = ppo.Hyper(w=jnp.ones(2), surrogate=limits(0.0))
    state = jax.eval_shape(algorithm.init, jax.random.key(0), hyper, mdp)
    with pytest.raises(UsageError, match=r"^Config\.memory: CPO has"):
        jax.eval_shape(algorithm.step, state, hyper, mdp)


# four members on two devices; in each, runs that extend by CPO and are evaluated exactly, as one batch
SEVERAL_DEVICES = """
import jax
import jax.numpy as jnp
from jaxrl.baselines import ppo
from jaxrl.core.spmd import map_population, mesh
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.morl import cpo
from jaxrl.morl.learners import exact_values

assert jax.device_count() == 2
sea = DeepSeaTreasure("concave")
mdp = sea.to_tabular(sea.default_params())
config = ppo.Config(n_envs=8, length=8, epochs=1, minibatches=1, widths=())
algorithm = ppo.make(config, Tabular.of(mdp), learn=cpo.learning_step(cpo.Config()))
extended, thresholds = jnp.tile(jnp.eye(2), (6, 1)), jnp.array([0.0, -50.0])

def member(key):
    def values(state):
        x = jnp.eye(mdp.n_states)
        kernel = state.params["actor"]["Dense_0"]
        pi = jax.nn.softmax(x @ kernel["kernel"] + kernel["bias"][None])
        return exact_values(mdp, pi, jnp.float32(0.99))
    def one(state, w):
        found = values(state)
        limits = cpo.Limits(w, thresholds, found.returns, found.length, jnp.float32(0.01), jnp.float32(0.1))
        return algorithm.step(state, ppo.Hyper(w=w, surrogate=limits), mdp)[0]
    blank = cpo.Limits(*[jnp.zeros(2)] * 3, *[jnp.float32(1)] * 3)
    init = lambda k, w: algorithm.init(k, ppo.Hyper(w=w, surrogate=blank), mdp)
    states = jax.vmap(init)(jax.random.split(key, 12), extended)
    states, _ = jax.lax.scan(lambda s, _: (jax.vmap(one)(s, extended), None), states, length=5)
    return jax.vmap(values)(states).returns

run = jax.jit(map_population(member, mesh(), 2))
for seed in range(2):
    assert jnp.isfinite(run(jax.random.split(jax.random.key(seed), 4))).all()
print("ends")
"""


@pytest.mark.slow
def test_twelve_extensions_in_each_of_four_members_on_two_devices_end():
    env = os.environ | {
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_NUMPY_RANK_PROMOTION": "raise",
        "JAX_PLATFORMS": "cpu",
    }
    command = [sys.executable, "-c", SEVERAL_DEVICES]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "ends\n", done.stderr
