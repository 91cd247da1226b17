import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import value_iteration
from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.generators import garnet, gridworld, random_mdp
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.run.train import train

HYPER = value_iteration.Hyper()


def run(mdp, sweeps):
    """The algorithm's state after `sweeps` updates, and the residual of each, as one scan."""
    algorithm = value_iteration.make(value_iteration.Config(), Tabular.of(mdp))

    @jax.jit
    def learn(mdp):
        state = algorithm.init(jax.random.key(0), HYPER, mdp)
        return jax.lax.scan(lambda s, _: algorithm.step(s, HYPER, mdp), state, None, length=sweeps)

    return algorithm, *learn(mdp)


def policy_iteration(mdp):
    """Q* by numpy policy iteration with linear solves in float64: a different method."""
    P, R, gamma = np.asarray(mdp.P, np.float64), np.asarray(mdp.R, np.float64), float(mdp.gamma)
    if R.ndim == 3:
        R = (P * R).sum(-1)
    policy = np.zeros(len(P), int)
    while True:
        rows = np.arange(len(P))
        v = np.linalg.solve(np.eye(len(P)) - gamma * P[rows, policy], R[rows, policy])
        q = R + gamma * P @ v
        better = q.argmax(-1)
        if np.all(q[rows, better] <= q[rows, policy] + 1e-12):
            return q
        policy = better


@pytest.mark.parametrize("seed", range(3))
def test_converges_to_policy_iteration(seed):
    mdp = garnet(jax.random.key(seed), S=20, A=3, branching=4, gamma=0.9)
    _, state, metrics = run(mdp, 250)
    np.testing.assert_allclose(state.q, policy_iteration(mdp), atol=2e-5)
    assert metrics["residual"][-1] < 1e-5
    assert state.updates == 250


def test_rewards_on_successors_and_terminal_states():
    mdp = gridworld(["S..", ".#.", "..G"], slip=0.1, gamma=0.95)
    _, state, _ = run(mdp, 400)
    np.testing.assert_allclose(state.q, policy_iteration(mdp), atol=2e-5)
    np.testing.assert_array_equal(state.q[np.asarray(mdp.terminal)], 0.0)


def test_float64_tables_reach_float64_precision():
    with jax.enable_x64(True):
        mdp = random_mdp(jax.random.key(1), 6, 2)
        _, state, _ = run(mdp, 400)
        assert state.q.dtype == jnp.float64
        np.testing.assert_allclose(state.q, policy_iteration(mdp), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_both_error_bounds_hold_at_every_sweep(seed):
    with jax.enable_x64(True):
        mdp = random_mdp(jax.random.key(seed), 8, 3, gamma=0.8)
        optimum = policy_iteration(mdp)
        algorithm = value_iteration.make(value_iteration.Config(), Tabular.of(mdp))
        state = algorithm.init(jax.random.key(0), HYPER, mdp)
        step = jax.jit(algorithm.step)
        for k in range(1, 40):
            state, metrics = step(state, HYPER, mdp)
            error = np.abs(state.q - optimum).max()
            assert error <= 0.8**k * np.abs(mdp.R).max() / (1 - 0.8) + 1e-12
            assert error <= value_iteration.error_bound(metrics["residual"], mdp.gamma) + 1e-12


def test_the_a_priori_bound_is_tight():
    """One state, reward 1: Q_k = (1 - gamma^k) / (1 - gamma), its error exactly gamma^k / (1 - gamma)."""
    mdp = make_mdp([[[1.0]]], [[1.0]], gamma=0.5)
    for k in (1, 2, 10):
        _, state, _ = run(mdp, k)
        np.testing.assert_array_equal(2.0 - state.q[0, 0], 0.5**k / 0.5)


def test_vmaps_over_mdps():
    mdps = jax.vmap(lambda k: random_mdp(k, 5, 2))(jax.random.split(jax.random.key(3), 4))
    algorithm = value_iteration.make(value_iteration.Config(), Tabular(5, 2))

    def learn(mdp):
        state = algorithm.init(jax.random.key(0), HYPER, mdp)
        return jax.lax.fori_loop(0, 250, lambda _, s: algorithm.step(s, HYPER, mdp)[0], state).q

    q = jax.jit(jax.vmap(learn))(mdps)
    for i in range(4):
        mdp = jax.tree.map(lambda x, i=i: x[i], mdps)
        np.testing.assert_allclose(q[i], policy_iteration(mdp), atol=2e-5)


@pytest.mark.parametrize("one_hot", [False, True])
def test_the_policy_is_greedy_in_q(one_hot):
    mdp = random_mdp(jax.random.key(5), 7, 4)
    algorithm, state, _ = run(mdp, 200)
    algorithm = value_iteration.make(value_iteration.Config(), Tabular.of(mdp, one_hot=one_hot))
    policy = algorithm.act(state, HYPER, True)
    best = policy_iteration(mdp).argmax(-1)
    for s in range(7):
        obs = jax.nn.one_hot(s, 7) if one_hot else jnp.int32(s)
        action, _, _ = policy.act(jax.random.key(0), obs, policy.memory)
        assert action.dtype == jnp.int32
        assert int(action) == best[s]


def start(env, mdp):
    algorithm = value_iteration.make(value_iteration.Config(), env)
    return algorithm.init(jax.random.key(0), HYPER, mdp)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (Tabular(4, 2, H=5), r"env\.H: must be None, got 5"),
        (Tabular(4, 2, reward_dim=2), r"env\.reward_dim: must be None, got 2; scalarise"),
        (Tabular(3, 2), r"data: .* 4, 2, None given to .* 3, 2, None; use Tabular\.of\(data\)"),
    ],
)
def test_refusals_name_what_does_not_fit(env, message):
    mdp = random_mdp(jax.random.key(0), 4, 2)
    with pytest.raises(UsageError, match=message):
        start(env, mdp)
    assert jnp.all(start(Tabular(4, 2), mdp).q == 0)


def test_an_mdp_that_is_none_is_refused_before_training():
    mdp = random_mdp(jax.random.key(0), 3, 2).replace(gamma=jnp.asarray(2.0))
    algorithm = value_iteration.make(value_iteration.Config(), Tabular.of(mdp))
    with pytest.raises(UsageError, match=r"^mdp\.gamma: must lie in \[0, 1\], got 2"):
        train(algorithm, jax.random.split(jax.random.key(0), 1), HYPER, mdp, updates=5)
