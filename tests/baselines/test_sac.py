import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.baselines import sac
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_numbers
from jaxrl.core.spaces import Box
from tests.baselines.bandit import (
    SIZES,
    Bandit,
    assert_four_devices_equal_one,
    batch,
    numpy_critic,
    pendulum_returns,
    run,
)

TINY = sac.Config(**SIZES)


@pytest.fixture(scope="module")
def nets():
    return sac._nets(TINY, Bandit(), axis=None)


@pytest.fixture(scope="module")
def params(nets):
    k_actor, k_critic = jax.random.split(jax.random.key(0))
    actor, critic = jax.jit(nets.actor.init)(k_actor), jax.jit(nets.critic.init)(k_critic)
    return {"actor": actor, "critic": critic, "log_temperature": jnp.log(0.3)}


@pytest.mark.parametrize("bootstrap", [True, False])
def test_target(nets, params, bootstrap):
    """Row by row in numpy: twins, entropy bonus, and which ends cut the bootstrap."""
    rows, hyper, key = batch(), sac.Hyper(gamma=0.9), jax.random.key(7)
    config = dataclasses.replace(TINY, bootstrap_truncated=bootstrap)
    target = jax.tree.map(lambda w: 0.5 * w, params["critic"])
    y = sac._target(config, nets, params, target, rows, hyper, key)
    raw, log_prob = nets.head.sample_and_log_prob(key, nets.actor.apply(params["actor"], rows.next_obs))
    q = [numpy_critic(target, i, np.asarray(rows.next_obs), np.tanh(raw)) for i in range(2)]
    for i in range(len(y)):
        ended = rows.terminated[i] or (rows.truncated[i] and not bootstrap)
        soft = min(q[0][i], q[1][i]) - 0.3 * float(log_prob[i])
        np.testing.assert_allclose(y[i], rows.reward[i] + (0.0 if ended else 0.9 * soft), rtol=2e-5)


def test_losses(nets, params):
    rows, key = batch(), jax.random.key(3)
    x, scaled = np.asarray(rows.obs), (np.asarray(rows.action) - 2.0) / 4.0
    y = np.linspace(-1, 1, 6)
    loss, _ = sac._critic_loss(
        params["critic"], nets, rows.obs, jax.vmap(nets.scale)(rows.action), jnp.float32(y)
    )
    expected = sum(np.mean((numpy_critic(params["critic"], i, x, scaled) - y) ** 2) for i in range(2))
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    loss, log_prob = sac._actor_loss(params["actor"], nets, params, rows.obs, key)
    raw, expected_log_prob = nets.head.sample_and_log_prob(key, nets.actor.apply(params["actor"], rows.obs))
    q = np.minimum(*(numpy_critic(params["critic"], i, x, np.tanh(raw)) for i in range(2)))
    np.testing.assert_allclose(log_prob, np.mean(expected_log_prob), rtol=1e-6)
    np.testing.assert_allclose(loss, np.mean(0.3 * np.asarray(expected_log_prob) - q), rtol=1e-5)


@pytest.mark.parametrize(("target", "sign"), [(5.0, 1.0), (-20.0, -1.0)])
def test_gradient_step_moves_temperature_and_targets(nets, params, target, sign):
    """Too little entropy raises the temperature, too much lowers it, by Adam's first step."""
    optimiser = optax.scale_by_adam()
    learner = sac.Learner(params, params["critic"], {k: optimiser.init(v) for k, v in params.items()})
    hyper = sac.Hyper(target_entropy=target, lr_temperature=0.01, tau=0.25)
    new, _ = sac._gradient_step(TINY, nets, optimiser, learner, batch(), hyper, jax.random.key(0))
    moved = new.params["log_temperature"] - params["log_temperature"]
    np.testing.assert_allclose(moved, sign * 0.01, rtol=1e-4)
    lagged = jax.tree.map(lambda old, now: 0.75 * old + 0.25 * now, params["critic"], new.params["critic"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), new.target, lagged)
    changed = [
        bool(jnp.any(a != b)) for a, b in zip(*map(jax.tree.leaves, (new.params, params)), strict=True)
    ]
    assert all(changed)


@pytest.mark.parametrize(("bootstrap", "value"), [(True, 1 / (1 - 0.9)), (False, 1 / (1 - 0.9 * 4 / 5))])
def test_time_limits_bootstrap(bootstrap, value):
    """Reward 1 for ever, cut every 5 steps: Q = 10 with the bootstrap; without, 1 row in 5 has none."""
    config = dataclasses.replace(
        TINY, n_envs=5, gradient_steps=8, batch_size=64, capacity=100, bootstrap_truncated=bootstrap
    )
    # no entropy bonus, so that the soft value is the plain one
    hyper = sac.Hyper(gamma=0.9, tau=0.1, temperature=1e-8, lr_temperature=0.0, lr_critic=3e-3, warmup=20)
    _, _, metrics = run(sac, Bandit(limit=5), config, hyper, 400)
    q = metrics["q"].total[-20:].sum() / metrics["q"].count[-20:].sum()
    np.testing.assert_allclose(q, value, rtol=0.03)


def test_stochastic_policy_stays_in_the_box():
    env = Bandit()
    _, state, _ = run(sac, env, TINY, sac.Hyper(warmup=0), 1)
    policy = sac.make(TINY, env).act(state, sac.Hyper(), False)
    keys = jax.random.split(jax.random.key(0), 512)
    actions, _, _ = jax.vmap(policy.act, (0, None, None))(keys, jnp.ones(1), ())
    assert bool(jnp.all(jax.vmap(env.action_space.contains)(actions)))
    assert float(actions.std()) > 1.0


@pytest.mark.slow
def test_pendulum():
    returns = pendulum_returns(
        sac, sac.Hyper(lr_actor=1e-3, lr_critic=1e-3, lr_temperature=1e-3, gamma=0.98, warmup=100)
    )
    assert float(returns.min()) > -200, returns


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(UsageError, match=r"Hyper\.temperature: must be > 0"):
        check_numbers(sac.Hyper(temperature=0.0))


def test_environments_and_batches_over_four_devices_equal_one_device():
    config = sac.Config(n_envs=4, gradient_steps=2, batch_size=8, capacity=16, widths=(4,))
    hyper = sac.Hyper(lr_actor=0.1, lr_critic=0.1, lr_temperature=0.1, warmup=1)
    assert_four_devices_equal_one(sac, config, hyper, {"rtol": 0, "atol": 1e-6})


def test_a_coordinate_with_equal_bounds_is_seen_as_zero_by_the_critics():
    box = Box((-2.0, 1.0), (6.0, 1.0), (2,))
    nets = sac._nets(TINY, Bandit(action_space=box), axis=None)
    action = nets.head.to_action(jnp.array([0.5, 3.0]))
    np.testing.assert_allclose(action, [2.0 + 4.0 * np.tanh(0.5), 1.0], rtol=1e-6)
    np.testing.assert_allclose(nets.scale(action), [np.tanh(0.5), 0.0], rtol=1e-6)
