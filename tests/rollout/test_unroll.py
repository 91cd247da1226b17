"""The contract of `unroll`: ends, restarts, keys, memory, statistics."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats as scipy_stats

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Policy
from jaxrl.envs.tabular.generators import random_mdp
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.rollout.evaluate import evaluate
from jaxrl.rollout.unroll import Freeze, Pool, Resample, _unroll, start, unroll
from tests.rollout.rollout_toys import Counter, Limited, Starts, constant_policy, random_policy

KEY = jax.random.key(0)


def collect(env, policy, params, n, *, seed=0, length, n_offset=0, **options):
    """`(vec, batch, stats)` of a compiled start and unroll."""

    @jax.jit
    def run(k_start, k_run, params):
        axis = options.get("params_axis")
        vec = start(env, policy, k_start, params, n, params_axis=axis, offset=n_offset)
        return unroll(env, policy, vec, k_run, params, length=length, offset=n_offset, **options)

    return run(*jax.random.split(jax.random.key(seed)), params)


def ending_mdp(seed=0):
    """8 states, the last one terminal and entered with probability about 1/8 per step."""
    rng = np.random.default_rng(seed)
    return make_mdp(
        rng.dirichlet(np.ones(8), (8, 2)), rng.random((8, 2)), np.r_[np.ones(7), 0] / 7, 0.9, (7,)
    )


def test_limits_per_environment():
    _, batch, stats = collect(
        Counter(), constant_policy(), jnp.ones(()), 3, length=21, limit=jnp.array([3, 5, 7])
    )
    np.testing.assert_array_equal(batch.truncated.sum(0), [7, 4, 3])
    assert not batch.terminated.any()
    assert stats.count == stats.truncated == 14
    assert stats.lengths == 7 * 3 + 4 * 5 + 3 * 7


def test_successors_are_true_and_restarts_are_fresh():
    """`next_obs` continues the count over the end; the next row's `obs` is a reset."""
    _, batch, _ = collect(Counter(), constant_policy(), jnp.ones(()), 2, length=7, limit=3)
    np.testing.assert_array_equal(batch.obs[:, 0], [0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(batch.next_obs[:, 0], [1, 2, 3, 1, 2, 3, 1])


def test_the_environments_own_limit_counts_unless_another_is_given():
    _, batch, _ = collect(Limited(), constant_policy(), jnp.full((), 4.0), 2, length=9)
    np.testing.assert_array_equal(np.flatnonzero(batch.truncated[:, 0]), [3, 7])
    _, batch, _ = collect(Limited(), constant_policy(), jnp.full((), 4.0), 2, length=9, limit=6)
    np.testing.assert_array_equal(np.flatnonzero(batch.truncated[:, 0]), [5])
    _, batch, _ = collect(Limited(), constant_policy(), jnp.array([2.0, 3.0]), 2, length=6, params_axis=0)
    np.testing.assert_array_equal(batch.truncated.sum(0), [3, 2])
    _, batch, _ = collect(Counter(), constant_policy(), jnp.ones(()), 2, length=9)
    assert not batch.done.any()


def test_termination_excludes_truncation():
    _, batch, stats = collect(Counter(end=3), constant_policy(), jnp.ones(()), 2, length=7, limit=3)
    np.testing.assert_array_equal(batch.terminated[:, 0], [0, 0, 1, 0, 0, 1, 0])
    assert not batch.truncated.any()
    assert stats.truncated == 0


@pytest.mark.parametrize("reset", [Resample(), Pool(4), Freeze()], ids=str)
def test_environments_do_not_depend_on_their_number_or_shard(reset):
    """Bit for bit: env i of 64 = env i of 8 = env i - 3 of a shard that starts at 3."""
    mdp = ending_mdp()
    env, policy = Tabular.of(mdp), random_policy()
    run = {"length": 40, "limit": 15, "reset": reset}
    _, many, _ = collect(env, policy, mdp, 64, **run)
    _, few, _ = collect(env, policy, mdp, 8, **run)
    _, shard, _ = collect(env, policy, mdp, 5, n_offset=3, **run)
    assert many.done.any() and len(np.unique(many.obs)) == 7 + isinstance(reset, Freeze)
    for a, b, c in zip(*map(jax.tree.leaves, (many, few, shard)), strict=True):
        np.testing.assert_array_equal(a[:, :8], b)
        np.testing.assert_array_equal(b[:, 3:], c)


@pytest.mark.parametrize("reset", [Resample(), Pool(16)], ids=str)
def test_starts_have_the_initial_distribution(reset):
    """Chi-square over more than 50,000 restarts; the pool is drawn anew by each of 512 unrolls."""
    mu0 = np.array([0.3, 0.25, 0.2, 0.1, 0.1, 0.05])
    params = jnp.asarray(mu0, jnp.float32)
    env, policy = Starts(end=1), constant_policy()
    independent, n, length = 512, 4, 50

    @jax.jit
    @jax.vmap
    def restarts(key):
        k_start, k_run = jax.random.split(key)
        vec = start(env, policy, k_start, params, n)
        return unroll(env, policy, vec, k_run, params, length=length + 1, reset=reset)[1].obs[1:]

    obs = np.asarray(restarts(jax.random.split(jax.random.key(7), independent)))
    assert obs.size > 50_000
    if isinstance(reset, Pool):
        # starts of one unroll share its 16 entries, so only one of each unroll is independent of the others
        columns = [
            scipy_stats.chisquare(np.bincount(obs[:, t, i], minlength=6), independent * mu0).pvalue
            for t in range(0, length, 10)
            for i in range(n)
        ]
        assert min(columns) > 1e-3
        spread = np.abs(np.bincount(obs.ravel(), minlength=6) / obs.size - mu0)
        # variance of a frequency over 512 x 16 entries
        np.testing.assert_array_less(spread, 4 * np.sqrt(mu0 * (1 - mu0) * (1 / (512 * 16) + 1 / obs.size)))
    else:
        assert scipy_stats.chisquare(np.bincount(obs.ravel(), minlength=6), obs.size * mu0).pvalue > 1e-3
    slots = obs.transpose(0, 2, 1).reshape(-1, length)
    assert np.mean([len(np.unique(slot)) >= 3 for slot in slots]) > 0.9


def test_parameters_survive_resets():
    """Three parameters, ten episodes: the reward is the parameter in every step."""
    rewards = jnp.array([1.0, 20.0, 300.0])
    for reset in (Resample(), Pool(3)):
        _, batch, _ = collect(
            Counter(end=2), constant_policy(), rewards, 3, length=20, params_axis=0, reset=reset
        )
        assert batch.terminated.sum() == 30
        np.testing.assert_array_equal(batch.reward, np.broadcast_to(rewards, (20, 3)))


def test_a_pool_of_one_gives_everyone_the_same_start_until_the_next_unroll():
    env, policy = Starts(n=1000, end=1), constant_policy()
    params = env.default_params()
    _, first, _ = collect(env, policy, params, 4, length=10, reset=Pool(1))
    _, second, _ = collect(env, policy, params, 4, seed=1, length=10, reset=Pool(1))
    assert len(np.unique(first.obs[1:])) == len(np.unique(second.obs[1:])) == 1
    assert first.obs[1, 0] != second.obs[1, 0]


def test_pools_of_environments_with_their_own_parameters_differ():
    params = jnp.broadcast_to(jnp.full(1000, 1e-3), (4, 1000))
    _, batch, _ = collect(
        Starts(n=1000, end=1), constant_policy(), params, 4, length=10, params_axis=0, reset=Pool(1)
    )
    assert [len(np.unique(batch.obs[1:, i])) for i in range(4)] == [1] * 4
    assert len(np.unique(batch.obs[1])) == 4


def test_frozen_environments_are_held_and_their_rows_are_no_data():
    _, batch, stats = collect(
        Counter(), constant_policy(), jnp.ones(()), 2, length=6, limit=jnp.array([2, 4]), reset=Freeze()
    )
    np.testing.assert_array_equal(batch.reward.T, [[1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0]])
    np.testing.assert_array_equal(batch.truncated.T, [[0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0]])
    np.testing.assert_array_equal(batch.terminated.T, [[0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1]])
    np.testing.assert_array_equal(batch.next_obs.T, [[1, 2, 2, 2, 2, 2], [1, 2, 3, 4, 4, 4]])
    assert stats.count == 2 and stats.returns == 6


def test_statistics_against_a_loop_over_the_recorded_rows():
    mdp = ending_mdp(2)
    vec, batch, stats = collect(Tabular.of(mdp), random_policy(), mdp, 5, length=60, limit=12, gamma=0.9)
    returns, discounted, lengths, truncated, open_ = [], [], [], 0, []
    for i in range(5):
        total, weighted, steps = 0.0, 0.0, 0
        for t in range(60):
            weighted += 0.9**steps * float(batch.reward[t, i])
            total, steps = total + float(batch.reward[t, i]), steps + 1
            if batch.done[t, i]:
                returns.append(total), discounted.append(weighted), lengths.append(steps)
                truncated += bool(batch.truncated[t, i])
                total, weighted, steps = 0.0, 0.0, 0
        open_.append((total, weighted, steps))
    assert stats.count == len(returns) > 10
    assert 0 < truncated == stats.truncated < stats.count
    np.testing.assert_allclose(stats.returns, sum(returns), rtol=1e-5)
    np.testing.assert_allclose(stats.squares, np.square(returns).sum(), rtol=1e-5)
    np.testing.assert_allclose(stats.discounted, sum(discounted), rtol=1e-5)
    np.testing.assert_allclose(stats.lengths, sum(lengths))
    np.testing.assert_allclose(vec.ep_return, [x[0] for x in open_], rtol=1e-5)
    np.testing.assert_allclose(vec.ep_discounted, [x[1] for x in open_], rtol=1e-5)
    np.testing.assert_array_equal(vec.elapsed, [x[2] for x in open_])
    metrics = stats.metrics()
    np.testing.assert_allclose(
        metrics["train/length"].total / metrics["train/length"].count, np.mean(lengths)
    )


def test_vector_statistics_and_kept_info():
    _, batch, stats = collect(
        Counter(vector=True), constant_policy(), jnp.ones(()), 2, length=7, limit=3, keep=("h",)
    )
    np.testing.assert_array_equal(stats.returns, [12, 24])
    np.testing.assert_array_equal(stats.squares, [36, 144])
    np.testing.assert_array_equal(batch.info["h"][:, 0], [1, 2, 3, 1, 2, 3, 1])
    assert list(batch.info) == ["h"]


def test_memory_starts_anew_with_every_episode():
    """A policy that counts its steps, and records the count it acted with."""
    policy = Policy(lambda key, obs, memory: (jnp.int32(0), memory, memory + 1), jnp.full((), 5))
    _, batch, _ = collect(Counter(), policy, jnp.ones(()), 2, length=7, limit=3)
    np.testing.assert_array_equal(batch.aux[:, 0], [5, 6, 7, 5, 6, 7, 5])


def test_everything_is_float64_for_float64_parameters():
    with jax.enable_x64(True):
        mdp = jax.tree.map(jnp.asarray, random_mdp(KEY, 4, 2))
        vec, batch, stats = collect(Tabular.of(mdp), random_policy(), mdp, 2, length=5, limit=3)
        assert batch.reward.dtype == vec.ep_return.dtype == stats.returns.dtype == jnp.float64
        assert vec.elapsed.dtype == jnp.int32


@pytest.mark.parametrize("reset", [Resample(), Pool(3), Freeze()], ids=str)
def test_no_key_is_used_twice(reset):
    """Updates around steps around environments, with the checker of jax on."""
    mdp = ending_mdp()
    env, policy = Tabular.of(mdp), random_policy()

    with jax.debug_key_reuse(True):

        @jax.jit
        def run(key):
            k_start, k_run, k_eval = jax.random.split(key, 3)
            vec = start(env, policy, k_start, mdp, 3)

            def update(vec, u):
                k_roll = jax.random.fold_in(k_run, u)
                vec, batch, _ = unroll(env, policy, vec, k_roll, mdp, length=4, limit=3, reset=reset)
                return vec, batch.reward

            rewards = jax.lax.scan(update, vec, jnp.arange(3))[1]
            return rewards, evaluate(env, policy, k_eval, mdp, episodes=3, limit=20).returns

        rewards, returns = run(jax.random.key(0))
        assert rewards.shape == (3, 4, 3) and returns.shape == (3,)

        @jax.jit
        def reuses(key):
            return jax.random.uniform(key) + jax.random.normal(key)

        with pytest.raises(jax.errors.KeyReuseError):
            reuses(jax.random.key(0))


def test_a_hundred_thousand_step_keys_are_distinct():
    """Check 21: act, env and reset keys of 20 updates x 50 steps x 34 environments."""
    from jaxrl.core.prng import step_keys, stream

    def of_update(u):
        return jax.vmap(lambda t: jnp.stack(step_keys(stream(KEY, u), t, 34)))(jnp.arange(50))

    keys = jax.random.key_data(jax.jit(jax.vmap(of_update))(jnp.arange(20))).reshape(-1, 2)
    assert len(keys) > 100_000
    assert len(np.unique(np.asarray(keys), axis=0)) == len(keys)


def roll(**options):
    vec = start(Counter(), constant_policy(), KEY, jnp.ones(()), 2)
    return unroll(Counter(), constant_policy(), vec, KEY, jnp.ones(()), **({"length": 3} | options))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roll(length=0), "length: must be >= 1, got 0"),
        (lambda: roll(limit=0), "limit: must be >= 1 step, got 0"),
        (lambda: roll(limit=jnp.ones(3, int)), "limit: shape (3,) is neither () nor [N] = (2,)"),
        (lambda: roll(limit=jnp.ones(2)), "limit: must be whole steps, int or int32[N], got float32"),
        (lambda: roll(gamma=np.array(2.0)), "gamma: must be in [0, 1], got array(2.)"),
        (lambda: roll(gamma=float("nan")), "gamma: must be in [0, 1], got nan"),
        (lambda: roll(keep=("x",)), "keep: 'x' is not in Step.info of this environment, which has"),
        (lambda: Pool(0), "Pool.size: must be >= 1, got 0"),
        (lambda: start(Counter(), constant_policy(), KEY, jnp.ones(()), 0), "n: must be >= 1, got 0"),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        call()


def test_calls_outside_of_jit_compile_once():
    policy, programs = constant_policy(), []
    vec = start(Counter(), policy, KEY, jnp.ones(()), 2)
    for i in range(3):
        unroll(Counter(), policy, vec, jax.random.key(i), jnp.ones(()) * i, length=3)
        programs.append(_unroll._cache_size())
    assert programs[0] == programs[-1]
