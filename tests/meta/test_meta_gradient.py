"""Meta-gradients: the derivative against finite differences, critics that learn or not, replaced agents."""

import dataclasses

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Discrete
from jaxrl.meta import lpg, meta_gradient, targets
from jaxrl.nets.net import linear
from tests.meta.contract_cases import GRID
from tests.meta.test_lpg import BATCH, HYPER, PARTS, RULE, start
from tests.meta.test_targets import filled

CONFIG = meta_gradient.Config(
    learner=lpg.Config(n_envs=2, length=4, predictions=2), agents=3, updates=2, horizons=(3, 5)
)
META = meta_gradient.Hyper(lr=0.1)


def made(config=CONFIG):
    rule = targets.lpg(2, inputs=("n/N", "ln N"), embedding=2, width=3)
    return meta_gradient.make(config, GRID, rule)


ALGORITHM = made()
INIT, STEP = jax.jit(ALGORITHM.init), jax.jit(ALGORITHM.step)


def first(key=0):
    return INIT(jax.random.key(key), META, ())


def leaves(tree):
    return [np.asarray(x) for x in jax.tree.leaves(tree)]


def same(a, b):
    return [np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True)]


def final(phi, through_inputs):
    """A function of the parameters after three updates on fixed windows by the rule's parameters phi."""
    params, opt_state = start()
    for n in range(3):
        batch = BATCH._replace(reward=BATCH.reward + n)
        hyper = HYPER.replace(phi=phi, lr=4.0, prediction_lr=2.0)
        params, opt_state, _ = PARTS.update(params, opt_state, batch, hyper, jnp.int32(n), through_inputs)
    weights = jnp.arange(6.0).reshape(3, 2) - 2
    return sum((weights * params[name]["kernel"]).sum() for name in ("policy", "prediction"))


def test_derivative_through_updates_is_that_of_finite_differences_and_the_released_one_is_not():
    phi = filled(RULE, amplitude=1.0)
    flat, unravel = jax.flatten_util.ravel_pytree(phi)
    direction = jax.random.normal(jax.random.key(0), flat.shape)
    value = jax.jit(lambda x: final(unravel(x), True))
    h = 2e-3
    numeric = (value(flat + h * direction) - value(flat - h * direction)) / (2 * h)
    true, released = (jax.jit(jax.grad(final), static_argnums=1)(phi, t) for t in (True, False))
    along = [float(jax.flatten_util.ravel_pytree(g)[0] @ direction) for g in (true, released)]
    np.testing.assert_allclose(along[0], numeric, rtol=5e-3)
    assert abs(along[1] - numeric) > 0.02 * abs(numeric)
    np.testing.assert_array_equal(final(phi, True), final(phi, False))


def test_critic_learns_where_it_is_not_frozen():
    before = first()
    after, _ = STEP(before, META, ())
    frozen, _ = STEP(before, META.replace(legacy_frozen_critic=1.0), ())
    lived = np.asarray(before.agents.n + 2 < before.agents.horizon)
    assert lived.any() and not all(same(before.agents.critic_params, after.agents.critic_params))

    def kept(agents):
        return [x[lived] for x in leaves(agents.critic_params)]

    assert all(same(kept(before.agents), kept(frozen.agents)))
    assert not any(same(before.params, after.params)[:1])


def test_loss_of_the_critic_on_a_fixed_window_falls():
    critic = meta_gradient.Critic(linear(Discrete(3), 1), PARTS.optimiser, False)
    params = critic.net.init(jax.random.key(0))
    hyper = META.replace(critic_lr=0.5, lambda_=1.0)

    def body(carry, _):
        params, opt_state, loss = critic.step(*carry, BATCH, hyper)
        return (params, opt_state), loss

    losses = jax.jit(lambda p: jax.lax.scan(body, (p, critic.optimiser.init(p)), length=50)[1])(params)
    assert losses[-1] < 0.9 * losses[0]


def test_agents_begin_at_different_ages_and_are_replaced_at_their_horizon():
    state = first()
    ages = np.asarray(state.agents.n)
    assert np.all(ages < np.asarray(state.agents.horizon)) and len(set(ages.tolist())) > 1
    finished = 0
    for _ in range(4):
        due = np.asarray(state.agents.n + 2 >= state.agents.horizon)
        state, metrics = STEP(state, META, ())
        assert np.all(np.asarray(state.agents.n)[due] == 0)
        assert int(metrics["finished"]) == due.sum()
        finished += due.sum()
    assert finished > 0


def test_agent_that_is_not_finite_is_counted_replaced_and_not_averaged_in():
    state = first()
    broken = jax.tree.map(lambda x: x.at[0].set(jnp.nan), state.agents.params)
    after, metrics = STEP(state.replace(agents=state.agents._replace(params=broken)), META, ())
    assert int(metrics["nan_agents"]) == 1 and int(after.agents.n[0]) == 0
    for tree in (after.params, after.agents.params, after.agents.critic_params):
        assert all(np.isfinite(x).all() for x in leaves(tree))
    assert not all(same(state.params, after.params))


def test_at_zero_nothing_but_the_biases_of_the_heads_has_a_gradient():
    state = first()
    zero = jax.tree.map(jnp.zeros_like, state.params)
    after, _ = STEP(state.replace(params=zero), META, ())
    moved = [
        "/".join(str(entry.key) for entry in path)
        for path, x in jax.tree_util.tree_leaves_with_path(after.params)
        if np.any(np.asarray(x) != 0)
    ]
    assert moved == ["target/Dense_0/bias", "weight/Dense_0/bias"]


def test_meta_loss_and_standardised_have_their_closed_forms():
    names = ("entropy", "prediction_entropy", "weight_square", "target_square")
    measured = dict(zip(names, jnp.asarray([2.0, 3.0, 5.0, 7.0]), strict=True))
    expected = -1.5 - 0.05 * 2 - 0.001 * 3 + 0.005 * 5 + 0.001 * 7
    np.testing.assert_allclose(meta_gradient.meta_loss(jnp.asarray(1.5), measured, META), expected, rtol=1e-6)
    np.testing.assert_allclose(meta_gradient.standardised(jnp.asarray([1.0, 3.0])), [-1, 1], rtol=1e-5)
    np.testing.assert_array_equal(meta_gradient.standardised(jnp.full(3, 2.0)), np.zeros(3))


@pytest.mark.slow
def test_rematerialised_gradients_are_the_stored_ones():
    again = jax.jit(made(dataclasses.replace(CONFIG, remat=True)).step)(first(), META, ())[0]
    stored, _ = STEP(first(), META, ())
    for x, y in zip(leaves(stored.params), leaves(again.params), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_whole_lifetimes_are_unrolled_where_updates_reach_the_longest_horizon():
    config = dataclasses.replace(CONFIG, updates=5, stagger=False)
    algorithm = made(config)
    state = jax.jit(algorithm.init)(jax.random.key(0), META, ())
    state, metrics = jax.jit(algorithm.step)(state, META, ())
    assert int(metrics["finished"]) == 3 and np.all(np.asarray(state.agents.n) == 0)


def test_more_updates_than_any_horizon_and_horizons_below_one_are_refused():
    with pytest.raises(UsageError, match="6 exceeds every horizon, of which the longest is 5"):
        dataclasses.replace(CONFIG, updates=6)
    with pytest.raises(UsageError, match=r"Config.horizons: must be \(low, high\)"):
        dataclasses.replace(CONFIG, horizons=(5, 3))
