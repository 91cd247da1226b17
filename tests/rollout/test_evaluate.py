"""Evaluation against closed forms and against the unrolls that it is made of."""

import re
import resource
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxrl.baselines import ppo
from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.types import Policy
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.rollout.evaluate import CHUNK, _evaluate, evaluate
from jaxrl.rollout.unroll import Freeze, start, unroll
from tests.rollout.rollout_toys import Counter, Limited, TwoLengths, constant_policy, random_policy

KEY = jax.random.key(0)


def test_unbiased_where_the_window_average_is_not():
    env, policy = TwoLengths(), constant_policy()
    params, n = env.default_params(), 4096
    run = jax.jit(lambda key: evaluate(env, policy, key, params, episodes=n, limit=1000))
    result = run(jax.random.key(0))
    assert result.terminated.all()
    np.testing.assert_array_equal(np.unique(result.lengths), [1, 100])
    np.testing.assert_array_equal(result.returns, result.lengths)
    assert abs(result.returns.mean() - 50.5) < 4 * 49.5 / np.sqrt(n)

    vec = start(env, policy, jax.random.key(1), params, n)
    window = jax.jit(lambda vec, key: unroll(env, policy, vec, key, params, length=200)[2])
    stats = window(vec, jax.random.key(2))
    assert stats.returns / stats.count < 42


def solved(mdp, probabilities):
    """Discounted return from mu0 by a linear solve, rewards of `[S, A]`."""
    P = np.einsum("sa,sat->st", probabilities, np.asarray(mdp.P, np.float64))
    r = (probabilities * np.asarray(mdp.R, np.float64)).sum(-1)
    return np.asarray(mdp.mu0) @ np.linalg.solve(np.eye(len(P)) - float(mdp.gamma) * P, r)


def test_discounted_return_equals_the_linear_solve():
    """Within 4 standard errors; 0.9^150 of the tail is below 2e-7."""
    mdp, n = random_mdp(jax.random.key(3), 5, 2), 4000
    env = Tabular.of(mdp)
    result = jax.jit(
        lambda key: evaluate(env, random_policy(), key, mdp, episodes=n, limit=150, gamma=mdp.gamma)
    )(jax.random.key(4))
    error = result.discounted.mean() - solved(mdp, np.full((5, 2), 0.5))
    assert abs(error) < 4 * result.discounted.std() / np.sqrt(n)
    assert not result.terminated.any()
    np.testing.assert_array_equal(result.lengths, 150)


def absorbing(seed):
    """A random MDP whose last state is terminal, entered from anywhere with probability about 1/8."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(8), (8, 2))
    return make_mdp(P, rng.random((8, 2)), 0, 0.9, terminal=(7,))


@pytest.fixture(scope="module")
def compiled():
    mdp = absorbing(0)
    env, policy = Tabular.of(mdp), random_policy()
    return (
        jax.jit(lambda key, limit: evaluate(env, policy, key, mdp, episodes=50, limit=limit, gamma=0.9)),
        jax.jit(
            lambda vec, key, limit: unroll(
                env, policy, vec, key, mdp, length=CHUNK, limit=limit, gamma=0.9, reset=Freeze()
            )
        ),
    )


@pytest.mark.parametrize("limit", [1, 15, 16, 17, 40, 200])
def test_early_exit_equals_the_full_run(compiled, limit):
    """All chunks that `limit` steps take, whether or not anybody is still running."""
    mdp, env, policy = absorbing(0), Tabular(8, 2), random_policy()
    key, (run, chunk_of) = jax.random.key(5), compiled
    got = run(key, limit)
    k_start, k_steps = jax.random.split(key)
    vec = start(env, policy, k_start, mdp, 50)
    truncated = np.zeros(50, bool)
    for chunk in range(-(-limit // CHUNK)):
        vec, batch, _ = chunk_of(vec, stream(k_steps, chunk), limit)
        truncated |= np.asarray(batch.truncated.any(0))
    np.testing.assert_array_equal(got.returns, vec.ep_return)
    np.testing.assert_array_equal(got.discounted, vec.ep_discounted)
    np.testing.assert_array_equal(got.lengths, vec.elapsed)
    np.testing.assert_array_equal(got.terminated, ~truncated)
    assert (got.lengths[~np.asarray(got.terminated)] == limit).all()


def test_takes_the_time_limit_of_the_environment():
    result = evaluate(Limited(), constant_policy(), jax.random.key(0), jnp.full((), 5.0), episodes=2)
    np.testing.assert_array_equal(result.lengths, [5, 5])
    np.testing.assert_array_equal(result.returns, [25, 25])
    assert not result.terminated.any()


def test_stops_when_all_episodes_have_ended():
    """Without early exit a limit of 2^30 steps would not come back."""
    result = evaluate(
        Counter(end=7), constant_policy(), jax.random.key(0), jnp.ones(()), episodes=3, limit=2**30
    )
    np.testing.assert_array_equal(result.lengths, [7, 7, 7])


def test_vmaps_over_members_with_different_lengths_and_gammas():
    mdp, env = absorbing(1), Tabular(8, 2)
    keys, gammas = jax.random.split(jax.random.key(6), 3), jnp.array([0.5, 0.9, 1.0])

    def one(key, gamma):
        return evaluate(env, random_policy(), key, mdp, episodes=4, limit=60, gamma=gamma)

    batched, single = jax.jit(jax.vmap(one))(keys, gammas), jax.jit(one)
    for i in range(3):
        alone = single(keys[i], gammas[i])
        for got, want in zip(jax.tree.leaves(batched), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(got[i], want, rtol=1e-6)


def test_vector_rewards_limits_per_episode_and_memory():
    """Discounted sums by hand; the policy counts its own steps in its memory."""
    policy = Policy(lambda key, obs, memory: (memory, (), memory + 1), jnp.zeros((), jnp.int32))
    result = evaluate(
        Counter(vector=True),
        policy,
        jax.random.key(0),
        jnp.ones(()),
        episodes=3,
        limit=jnp.array([1, 2, 20]),
        gamma=0.5,
    )
    np.testing.assert_array_equal(result.returns, [[1, 2], [2, 4], [20, 40]])
    sums = np.array([1, 1.5, 2 - 2.0**-19])
    np.testing.assert_allclose(result.discounted, np.stack([sums, 2 * sums], -1), rtol=1e-6)
    assert not result.terminated.any()


def test_one_compilation_for_all_limits_and_discounts():
    env, policy = Counter(end=9), constant_policy()
    run = jax.jit(
        lambda key, limit, gamma: (
            evaluate(env, policy, key, jnp.ones(()), episodes=2, limit=limit, gamma=gamma).lengths
        )
    )
    lengths = [run(jax.random.key(0), limit, 0.9)[0] for limit in (1, 5, 30)]
    assert lengths == [1, 5, 9]
    assert run._cache_size() == 1


def test_memory_stays_flat_over_calls_with_new_parameters():
    """A policy of an algorithm carries its parameters as leaves, so that one program serves them all."""
    env, algorithm = CartPole(), ppo.make(ppo.Config(n_envs=2, minibatches=2, widths=(4,)), CartPole())
    data, hyper = env.default_params(), ppo.Hyper()
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)

    def call(i):
        params = jax.tree.map(lambda x: x + 0.01 * i, state.params)
        policy = algorithm.act(state.replace(params=params), hyper, i % 2 == 0)
        return evaluate(env, policy, jax.random.key(i), data, episodes=2, limit=20)

    def resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 2**20

    call(0), call(1)
    before, programs = resident(), _evaluate._cache_size()
    returns = {float(call(i).returns.sum()) for i in range(200)}
    assert _evaluate._cache_size() == programs
    assert len(returns) > 1  # the parameters are read
    # 200 compilations would keep about 900 MB
    assert resident() - before < 20


@pytest.mark.parametrize("act", ["plain", "partial"])
def test_a_policy_made_inside_a_traced_function_may_hold_traced_parameters(act):
    env = Counter(end=9)

    def best(offset, key, obs, memory):
        return jnp.int32(0) * offset.astype(jnp.int32), (), memory + offset

    @jax.jit
    def run(offset):
        made = Partial(best, offset) if act == "partial" else lambda *args: best(offset, *args)
        return evaluate(env, Policy(made, offset), KEY, jnp.ones(()), episodes=2, limit=4).lengths

    np.testing.assert_array_equal(run(jnp.ones(())), [4, 4])
    np.testing.assert_array_equal(jax.vmap(run)(jnp.ones(3)), [[4, 4]] * 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, "episodes: must be >= 1, got 0"),
        ({"limit": "5"}, "limit: must be whole steps, int or int32[N], got '5'"),
        ({"limit": 2**40}, "limit: must be whole steps, int or int32[N], got 1099511627776"),
        ({"gamma": 1.5}, "gamma: must be in [0, 1], got 1.5"),
        ({"gamma": None}, "gamma: must be a number, got None"),
        ({"key": 0}, "key: must be one typed key, such as jax.random.key(0), got 0"),
        ({"key": jax.random.split(jax.random.key(0), 2)}, "key: must be one typed key"),
        ({"policy": lambda key, obs, memory: (0, (), memory)}, "policy: must be a Policy, which Policy("),
        ({"episodes": 1.5}, "episodes: must be an int, got 1.5"),
        ({"limit": None}, "limit: Counter has no time limit of its own"),
        ({"limit": 0}, "limit: must be >= 1 step, got 0"),
        ({"limit": jnp.array([4, -3])}, "limit: must be >= 1 step, got -3"),
        ({"limit": 0.5}, "limit: must be whole steps, int or int32[N], got float32"),
        ({"limit": np.array([np.inf, 1.0])}, "limit: must be whole steps, int or int32[N], got float"),
        ({"limit": np.inf}, "limit: must be whole steps"),
        ({"limit": True}, "limit: must be whole steps, int or int32[N], got bool"),
        ({"limit": jnp.ones(3, int)}, "limit: shape (3,) is neither () nor [N] = (2,)"),
    ],
)
def test_refusals_name_the_argument(options, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        options = {"policy": constant_policy(), "key": KEY, "episodes": 2, "limit": 3} | options
        evaluate(Counter(), params=jnp.ones(()), **options)


@pytest.mark.parametrize("gamma", [2.0, np.array(2.0), jnp.asarray(np.nan)])
def test_a_discount_outside_of_the_unit_interval_is_refused_in_any_type(gamma):
    env = CartPole()
    with pytest.raises(UsageError, match=r"^gamma: must be (in \[0, 1\]|a float)"):
        evaluate(env, random_policy(), KEY, env.default_params(), episodes=2, gamma=gamma)
