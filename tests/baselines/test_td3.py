"""TD3: target and losses against numpy, delays, both programs, learned rewards, and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.baselines import td3
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_numbers
from jaxrl.core.spaces import Box
from jaxrl.data.collect import collect, uniform
from jaxrl.data.dataset import from_arrays
from tests.baselines.bandit import (
    SIZES,
    Bandit,
    assert_four_devices_equal_one,
    batch,
    numpy_critic,
    pendulum_returns,
)

TINY = td3.Config(**SIZES)
OFFLINE = td3.Config(gradient_steps=20, batch_size=64, widths=(32,), policy_delay=1)
PLAIN = optax.identity()


@pytest.fixture(scope="module")
def nets():
    env = Bandit()
    return td3._nets(TINY, env.observation_space, env.action_space, axis=None)


@pytest.fixture(scope="module")
def learner(nets):
    first = jax.jit(lambda key: td3._first(nets, PLAIN, None, key))(jax.random.key(0))
    lagging = {name: jax.tree.map(lambda w: 0.5 * w, p) for name, p in first.params.items()}
    return first._replace(target=lagging)


def numpy_actor(params, x):
    layers = [jax.tree.map(lambda w: np.asarray(w, np.float64), params[f"Dense_{j}"]) for j in range(2)]
    hidden = np.maximum(x @ layers[0]["kernel"] + layers[0]["bias"], 0)
    return np.tanh(hidden @ layers[1]["kernel"] + layers[1]["bias"])


def test_target(nets, learner):
    """Row by row in numpy: smoothed and clipped actions, the smaller of the twins, and ends."""
    rows, hyper, key = batch(), td3.Hyper(gamma=0.9, target_noise=0.6, noise_clip=0.5), jax.random.key(7)
    y = td3._target(nets, learner.target, rows.next_obs, rows.reward, rows.terminated, hyper, key)
    noise = np.clip(0.6 * np.asarray(jax.random.normal(key, (6, 1))), -0.5, 0.5)
    x = np.asarray(rows.next_obs)
    a = np.clip(numpy_actor(learner.target["actor"], x) + noise, -1, 1)
    q = np.minimum(*(numpy_critic(learner.target["critic"], i, x, a) for i in range(2)))
    expected = np.asarray(rows.reward) + 0.9 * np.where(rows.terminated, 0, q)
    np.testing.assert_allclose(y, expected, rtol=2e-5)
    assert np.any(np.abs(noise) == 0.5)


@pytest.mark.parametrize("cloning", [False, True])
def test_actor_loss(nets, learner, cloning):
    config = dataclasses.replace(TINY, behaviour_cloning=cloning)
    rows = batch()
    a = jax.vmap(nets.scale)(rows.action)
    critic, actor = learner.params["critic"], learner.params["actor"]
    loss = td3._actor_loss(actor, config, nets, critic, rows.obs, a, td3.Hyper())
    x = np.asarray(rows.obs)
    mu = numpy_actor(actor, x)
    q = numpy_critic(critic, 0, x, mu)
    expected = -q.mean()
    if cloning:
        expected = -2.5 * q.mean() / np.abs(q).mean() + np.square(mu - np.asarray(a)).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-4)


def test_actor_and_targets_wait_for_their_turn(nets, learner):
    config, hyper = (
        dataclasses.replace(TINY, policy_delay=3),
        td3.Hyper(lr_actor=0.1, lr_critic=0.1, tau=0.25),
    )
    step = jax.jit(lambda l, k: td3._gradient_step(config, nets, PLAIN, None, l, batch(), hyper, k)[0])
    now = learner
    for i in range(6):
        after = step(now, jax.random.key(i))
        moved = [
            any(bool(jnp.any(x != y)) for x, y in zip(*map(jax.tree.leaves, pair), strict=True))
            for pair in (
                (now.params["critic"], after.params["critic"]),
                (now.params["actor"], after.params["actor"]),
                (now.target, after.target),
            )
        ]
        assert moved == [True, i % 3 == 2, i % 3 == 2]
        if i % 3 == 2:
            lagged = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, now.target, after.params)
            jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), lagged, after.target)
        now = after
    assert int(now.steps) == 6


def recorded(low):
    """400 uniform actions of the bandit, of which only those above `low` are kept."""
    data = collect(Bandit(), uniform(Bandit()), jax.random.key(0), jnp.zeros(()), episodes=400, limit=1)
    return data.take(np.flatnonzero(np.asarray(data.action)[:, 0] >= low))


@pytest.mark.parametrize(("cloning", "alpha", "action"), [(False, 2.5, 4.0), (True, 1e-4, 2.0)])
def test_offline_finds_the_best_action_and_imitates_the_mean_where_q_counts_little(cloning, alpha, action):
    env, data = Bandit(), recorded(-2.0)
    config = dataclasses.replace(OFFLINE, behaviour_cloning=cloning)
    algorithm = td3.make(config, env.observation_space, env.action_space)
    hyper = td3.Hyper(lr_actor=3e-3, lr_critic=3e-3, alpha=alpha)
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    learn = jax.jit(lambda s, d: jax.lax.fori_loop(0, 60, lambda _, s: algorithm.step(s, hyper, d)[0], s))
    policy = algorithm.act(learn(state, data), hyper, True)
    found, _, _ = policy.act(jax.random.key(0), jnp.ones(1), ())
    wanted = action if not cloning else float(data.action.mean())
    np.testing.assert_allclose(found, [wanted], atol=0.4)


def test_both_programs_take_the_same_gradient_step(nets):
    """One step on a memory that holds copies of one transition equals one on a dataset of it."""
    env = Bandit()
    row = jax.tree.map(lambda x: np.asarray(x)[:1], batch())
    config = td3.Config(n_envs=1, gradient_steps=1, batch_size=4, capacity=4, widths=(8,), policy_delay=1)
    hyper = td3.Hyper(target_noise=0.0)
    fields = {name: getattr(row, name) for name in ("obs", "action", "reward", "next_obs", "terminated")}
    data = from_arrays(fields | {"truncated": row.truncated})
    offline = td3.make(config, env.observation_space, env.action_space)
    state = jax.jit(offline.init)(jax.random.key(0), hyper, data)
    after = jax.jit(offline.step)(state, hyper, data)[0].learner
    repeated = jax.tree.map(lambda x: jnp.repeat(jnp.asarray(x), 4, axis=0), row)
    direct, _ = td3._gradient_step(
        config, nets, optax.scale_by_adam(), None, state.learner, repeated, hyper, jax.random.key(1)
    )
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), after.params, direct.params)


def test_a_learned_reward_takes_the_place_of_the_recorded_one(nets, learner):
    """Its module moves first; a reward that is the recorded one itself changes nothing."""
    seen = td3.Intrinsic(
        init=lambda key: jnp.zeros(()),
        reward=lambda state, hyper, obs, action, next_obs: state * jnp.ones(len(obs)),
        update=lambda state, hyper, key, obs, action, next_obs, next_action: state + next_action.shape[0],
    )
    start = learner._replace(intrinsic=jnp.zeros(()))
    rows = batch()
    after, metrics = td3._gradient_step(TINY, nets, PLAIN, seen, start, rows, td3.Hyper(), jax.random.key(0))
    assert float(after.intrinsic) == 6 and float(metrics["reward"]) == 6
    paid, _ = td3._gradient_step(
        TINY, nets, PLAIN, None, learner, rows._replace(reward=jnp.full(6, 6.0)), td3.Hyper(),
        jax.random.key(0),
    )  # fmt: skip
    jax.tree.map(np.testing.assert_array_equal, after.params, paid.params)


@pytest.mark.parametrize("bootstrap", [True, False])
def test_which_ends_cut_the_bootstrap(nets, learner, bootstrap):
    """Where they do, the loss of the critics does not depend on the target networks."""
    config = dataclasses.replace(TINY, bootstrap_truncated=bootstrap)
    rows, no, yes = batch(), jnp.zeros(6, bool), jnp.ones(6, bool)
    step = jax.jit(
        lambda l, rows: td3._gradient_step(config, nets, PLAIN, None, l, rows, td3.Hyper(), jax.random.key(0))
    )
    other = learner._replace(target=jax.tree.map(lambda w: 2 * w, learner.target))
    for ends, cut in (((yes, no), True), ((no, yes), not bootstrap), ((no, no), False)):
        rows = rows._replace(terminated=ends[0], truncated=ends[1])
        losses = [float(step(l, rows)[1]["critic_loss"]) for l in (learner, other)]
        assert (losses[0] == losses[1]) == cut


@pytest.mark.parametrize("cloning", [False, True])
def test_environments_and_batches_over_four_devices_equal_one_device(cloning):
    """The reward is learned from whole batches."""
    config = td3.Config(
        n_envs=4, gradient_steps=2, batch_size=8, capacity=16, widths=(4,), behaviour_cloning=cloning
    )
    module = td3.Intrinsic(
        init=lambda key: jnp.zeros(()),
        reward=lambda state, hyper, obs, action, next_obs: state + action[:, 0],
        update=lambda state, hyper, key, obs, action, *_: state + action.mean() + action.shape[0],
    )
    hyper, tolerance = td3.Hyper(lr_actor=0.1, lr_critic=0.01, warmup=1), {"rtol": 1e-5, "atol": 1e-6}
    assert_four_devices_equal_one(td3, config, hyper, tolerance, intrinsic=module)


@pytest.mark.slow
def test_pendulum():
    returns = pendulum_returns(td3, td3.Hyper(lr_actor=1e-3, lr_critic=1e-3, gamma=0.98, warmup=100))
    assert float(returns.min()) > -250, returns


def offline_init(action_space):
    env, data = Bandit(), recorded(-2.0)
    return td3.make(OFFLINE, env.observation_space, action_space).check(data)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: td3.Config(policy_delay=0), r"Config\.policy_delay: must be >= 1, got 0"),
        (lambda: check_numbers(td3.Hyper(alpha=0.0)), r"Hyper\.alpha: must be > 0"),
        (lambda: check_numbers(td3.Hyper(noise_clip=-0.1)), r"Hyper\.noise_clip: must be >= 0"),
        (lambda: offline_init(Box(-1.0, 1.0, (2,))), "action"),
    ],
)
def test_refusals_name_the_field_and_the_fix(call, message):
    with pytest.raises(UsageError, match=message):
        call()
