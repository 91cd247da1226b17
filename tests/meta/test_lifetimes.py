"""Lifetimes: a traced horizon, what the rule is told, sorted lanes against a padded loop, NaN, refusals."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.tree import tree_where
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.meta import lifetimes, lpg, targets
from jaxrl.meta.objective import MASKS

LEVEL = dataclasses.replace(LEVELS["debug"], reward=((0.5, 1.0), (-1.0, 1.0)))
ENV = observe_time(GridWorld(LEVEL, index=True), scale=0.001)
RULE = targets.lpg(3, inputs=("n/N", "ln N"), embedding=2, width=4)
LEARNER = lpg.make(lpg.Config(n_envs=3, length=5, predictions=3), ENV, RULE)
RUN = lifetimes.lifetime(LEARNER, ENV, episodes=4)
LOW, HIGH, PAIRS, WIDTH = 2, 9, 8, 2


def hyper(told, mask=MASKS["paper"], scale=3.0):
    phi = jax.tree.map(lambda x: scale * x, RULE.init(jax.random.key(5)))
    return lpg.told(lpg.Hyper(), phi, told, jnp.asarray(mask))


def padded_run(mask, told, scale, level, horizon, key):
    """The same lifetime as a loop of HIGH updates of which the later ones are discarded."""
    numbers = hyper(told, mask, scale)
    k_learn, k_evaluate = jax.random.split(key)
    state = LEARNER.init(k_learn, numbers, level)

    def update(state, i):
        return tree_where(i < horizon, LEARNER.step(state, numbers, level)[0], state), None

    state, _ = jax.lax.scan(update, state, jnp.arange(HIGH))
    policy = LEARNER.act(state, numbers, False)
    return lifetimes.evaluate(ENV, policy, k_evaluate, level, episodes=4).returns.mean()


def bounded_run(mask, told, scale, level, horizon, key):
    """The return by the function under test."""
    return RUN(hyper(told, mask, scale), level, horizon, key)


TASKS = jax.jit(lifetimes.draw_tasks(ENV, LOW, HIGH), static_argnums=1)(jax.random.key(1), PAIRS)
LANES = jax.jit(lifetimes.in_lanes(bounded_run, WIDTH))


def returns(mask="paper", told=1.0, scale=3.0, tasks=TASKS, run=LANES):
    """float[PAIRS] of rules that are told `told` times the truth; one program for all of them."""
    masks = jnp.broadcast_to(jnp.asarray(MASKS[mask]), (PAIRS, 5))
    numbers = told * tasks.horizon.astype(jnp.float32), jnp.full(PAIRS, scale)
    return np.asarray(run(masks, *numbers, *tasks))


def test_sorted_lanes_are_the_padded_loop_bit_for_bit():
    assert len(set(np.asarray(TASKS.horizon).tolist())) > 3
    found = returns()
    np.testing.assert_array_equal(found, returns(run=jax.jit(lifetimes.in_lanes(padded_run, WIDTH))))
    assert np.std(found) > 0


def test_blind_rule_does_not_change_a_bit_when_told_another_horizon_and_an_aware_one_does():
    for factor in (0.25, 4.0):
        np.testing.assert_array_equal(returns("none"), returns("none", factor))
    assert not np.array_equal(returns(), returns(told=0.25))


def test_diverged_lifetime_is_nan_and_leaves_the_others_alone():
    assert np.isfinite(returns()).all()
    assert np.isnan(returns(scale=np.nan)).all()


def test_tasks_come_in_the_order_of_their_horizons_with_levels_of_their_own():
    assert np.all(np.diff(TASKS.horizon) >= 0)
    assert len(set(np.asarray(TASKS.level.env.limit).tolist())) > 1
    assert len({tuple(row) for row in np.asarray(jax.random.key_data(TASKS.key)).tolist()}) == PAIRS
    fixed = jax.eval_shape(lambda key: lifetimes.draw_tasks(CartPole(), 2, 4)(key, 3), jax.random.key(0))
    assert fixed.level.gravity.shape == (3,)


@pytest.mark.slow
def test_traced_bound_is_a_scan_of_exactly_that_many_updates():
    numbers = jax.vmap(lambda N: hyper(N))(jnp.full(WIDTH, 4.0))
    level, _, key = jax.tree.map(lambda x: x[:WIDTH], TASKS)

    def scanned(numbers, level, key):
        k_learn, k_evaluate = jax.random.split(key)
        state = LEARNER.init(k_learn, numbers, level)
        state, _ = jax.lax.scan(lambda s, _: (LEARNER.step(s, numbers, level)[0], None), state, length=4)
        policy = LEARNER.act(state, numbers, False)
        return state.params, lifetimes.evaluate(ENV, policy, k_evaluate, level, episodes=4).returns.mean()

    def bounded(numbers, level, key):
        state, _ = lifetimes._learn(LEARNER, numbers, level, horizon, jax.random.split(key)[0], False)
        return state.params, RUN(numbers, level, horizon, key)

    horizon = jnp.int32(4)
    found = [jax.jit(jax.vmap(run))(numbers, level, key) for run in (scanned, bounded)]
    for x, y in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_array_equal(x, y)


def test_progress_ends_one_update_before_the_horizon():
    seen = []

    def apply(phi, window, time):
        jax.debug.callback(lambda n, N: seen.append((int(n), int(N))), time.n, time.N)
        return jnp.zeros_like(window.reward), window.y

    rule = dataclasses.replace(RULE, apply=apply)
    env = Tabular(3, 2)
    config = lpg.Config(n_envs=1, length=1, predictions=3)
    numbers = lpg.Hyper(phi=RULE.init(jax.random.key(0)), updates_total=6.0)
    key = jax.random.key(0)
    learner = lpg.make(config, env, rule)
    jax.block_until_ready(
        jax.jit(lambda n: lifetimes._learn(learner, numbers, env.default_params(), n, key, False))(6)
    )
    jax.effects_barrier()
    assert sorted(seen) == [(n, 6) for n in range(6)]


@pytest.mark.slow
def test_area_is_the_mean_return_of_the_episodes_of_the_lifetime():
    area = jax.jit(lifetimes.lifetime(LEARNER, ENV, episodes=1, fitness="area"))
    task = jax.tree.map(lambda x: x[0], TASKS.level)
    numbers, key = hyper(6.0), jax.random.key(7)
    state = LEARNER.init(jax.random.split(key)[0], numbers, task)
    step, total, count = jax.jit(LEARNER.step), 0.0, 0.0
    for _ in range(6):
        state, metrics = step(state, numbers, task)
        total, count = total + metrics["train/return"].total, count + metrics["train/return"].count
    assert count > 0
    np.testing.assert_allclose(area(numbers, task, jnp.int32(6), key), total / count, rtol=1e-5)


def test_horizons_are_sorted_within_bounds_and_log_uniform():
    draw = jax.jit(jax.vmap(lambda k: lifetimes.stratified_horizons(k, 5, 50, 16)))
    horizons = np.asarray(draw(jax.random.split(jax.random.key(0), 4000)))
    assert horizons.min() == 5 and horizons.max() == 50 and np.all(np.diff(horizons, axis=1) >= 0)
    edges = np.arange(5, 51)
    low, high = np.maximum(edges - 0.5, 5), np.minimum(edges + 0.5, 50)
    expected = np.log(high / low) / np.log(10)
    seen = np.array([(horizons == n).mean() for n in edges])
    # stratification only lowers the variance of a count below that of independent draws
    assert np.all(np.abs(seen - expected) < 5 * np.sqrt(expected / horizons.size))


def test_sorted_lanes_do_a_third_of_the_padded_work():
    draw = jax.jit(lambda k: lifetimes.stratified_horizons(k, 10, 250, 64))
    horizons = np.stack([np.asarray(draw(k)) for k in jax.random.split(jax.random.key(0), 50)])
    saved = [64 * 250 / lifetimes.work_in_lanes(h, 4) for h in horizons]
    assert min(saved) > 2.9 and max(saved) < 3.35


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(UsageError, match="has no time limit"):
        lifetimes.lifetime(LEARNER, Tabular(3, 2), episodes=1)
    with pytest.raises(UsageError, match="has 2 rewards; scalarise it"):
        lifetimes.lifetime(LEARNER, DeepSeaTreasure(), episodes=1)
    with pytest.raises(UsageError, match="'best' is none of final, area"):
        lifetimes.lifetime(LEARNER, CartPole(), episodes=1, fitness="best")
    with pytest.raises(UsageError, match="3 tasks run together, which does not divide 8"):
        lifetimes.in_lanes(lambda x: x, 3)(jnp.zeros(8))
    with pytest.raises(UsageError, match="2 tasks run together, which does not divide 3"):
        lifetimes.work_in_lanes(np.array([1, 2, 3]), 2)
    with pytest.raises(UsageError, match=r"must be \(low, high\) with 1 <= low <= high"):
        lifetimes.check_horizons(6, 5)
    with pytest.raises(UsageError, match=r"got \(0, 5\)"):
        lifetimes.stratified_horizons(jax.random.key(0), 0, 5, 4)
