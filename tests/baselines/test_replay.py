"""What SAC and TD3 share, asked of both: warm-up, learning, actions on [-1, 1], and what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import replay, sac, td3
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_numbers
from jaxrl.core.spaces import Box
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.rollout.unroll import Freeze
from tests.baselines.bandit import SIZES, Bandit, programs, run

AGENTS = [sac, td3]
BOTH = pytest.mark.parametrize("agent", AGENTS, ids=["sac", "td3"])


@BOTH
def test_warm_up_acts_uniformly_and_does_not_learn(agent):
    first, state, metrics = run(agent, Bandit(), agent.Config(**SIZES), agent.Hyper(warmup=500), 500)
    jax.tree.map(np.testing.assert_array_equal, state.learner, first.learner)
    assert metrics["critic_loss"].count.sum() == 0
    # 2000 uniform actions: the Kolmogorov distance exceeds 0.06 with probability below 2e-6
    actions = np.sort((np.asarray(state.buffer.data.action)[:, 0] + 2) / 8)
    grid = np.arange(1, 2001) / 2000
    assert max(np.abs(grid - actions).max(), np.abs(grid - 1 / 2000 - actions).max()) < 0.06


@BOTH
def test_learns_after_warm_up(agent):
    first, state, metrics = run(agent, Bandit(), agent.Config(**SIZES), agent.Hyper(warmup=3), 5)
    np.testing.assert_array_equal(metrics["critic_loss"].count, [0, 0, 0, 2, 2])
    before, after = jax.tree.leaves(first.learner.params), jax.tree.leaves(state.learner.params)
    assert all(bool(jnp.any(a != b)) for a, b in zip(before, after, strict=True))


SOFT = sac.Hyper(lr_actor=3e-3, lr_critic=3e-3, temperature=0.01, lr_temperature=0.0, warmup=50)


@pytest.mark.parametrize(
    ("agent", "hyper"), [(sac, SOFT), (td3, td3.Hyper(lr_actor=3e-3, lr_critic=3e-3, warmup=50))]
)
def test_finds_the_best_action_of_a_bandit(agent, hyper):
    sizes = {"gradient_steps": 4, "batch_size": 64, "capacity": 4096, "widths": (32,)}
    env, config = Bandit(), agent.Config(**SIZES | sizes)
    _, state, _ = run(agent, env, config, hyper, 400)
    policy = agent.make(config, env).act(state, hyper, True)
    action, _, _ = policy.act(jax.random.key(0), jnp.ones(1), ())
    np.testing.assert_allclose(action, [env.peak], atol=0.3)


def test_the_memory_holds_transitions_without_what_the_policy_adds():
    env, config = Bandit(), td3.Config(**SIZES)
    init, step = programs(td3, env, config)
    hyper = jax.tree.map(jnp.float32, td3.Hyper(warmup=500))
    state, _ = step(init(jax.random.key(0), hyper, env.default_params()), hyper, env.default_params())
    rows = state.buffer.data
    assert rows.aux == () and rows.info == {}
    assert rows.action.shape == (2000, 1) and rows.reward.shape == (2000,)
    reward = -np.square((np.asarray(rows.action)[:4, 0] - env.peak) / 4)
    np.testing.assert_allclose(rows.reward[:4], reward, rtol=1e-5)
    assert np.all(rows.terminated[:4]) and not np.any(rows.reward[4:])


def test_a_coordinate_with_equal_bounds_is_seen_as_zero():
    scale = replay.scale(Box((-2.0, 1.0), (6.0, 1.0), (2,)))
    np.testing.assert_allclose(scale(np.float32([5.0, 1.0])), [0.75, 0.0], rtol=1e-6)


UNBOUNDED, INTEGERS = Box(-np.inf, np.inf, (1,)), Box(0, 3, (1,), np.int32)


@BOTH
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda agent: agent.Config(n_envs=0), r"Config\.n_envs: must be >= 1, got 0"),
        (lambda agent: agent.Config(length=-1), r"Config\.length: must be >= 1, got -1"),
        (lambda agent: agent.Config(gradient_steps=0), r"Config\.gradient_steps: must be >= 1"),
        (lambda agent: agent.Config(batch_size=0), r"Config\.batch_size: must be >= 1"),
        (
            lambda agent: agent.Config(n_envs=8, length=4, capacity=31),
            r"Config\.capacity: must hold one update's 32 transitions, got 31",
        ),
        (lambda agent: agent.Config(widths=(8, 0)), r"Config\.widths\[1\]: must be >= 1"),
        (lambda agent: agent.Config(reset=Freeze()), r"Config\.reset: must be a Resample or a Pool"),
        (
            lambda agent: agent.Config(activation="cosine"),
            r"Config\.activation: must be one of 'tanh', .*'cosine'",
        ),
        (lambda agent: check_numbers(agent.Hyper(tau=1.5)), r"Hyper\.tau: must be in \[0, 1\], got 1\.5"),
        (lambda agent: check_numbers(agent.Hyper(warmup=-1)), r"Hyper\.warmup: must be >= 0, got -1"),
        (
            lambda agent: agent.make(agent.Config(), CartPole()),
            r"(sac|td3)\.make\(CartPole\): action_space: .* Box",
        ),
        (lambda agent: agent.make(agent.Config(), Bandit(action_space=UNBOUNDED)), "action_space: .* finite"),
        (lambda agent: agent.make(agent.Config(), Bandit(action_space=INTEGERS)), "action_space: .* floats"),
        (
            lambda agent: agent.make(agent.Config(), Bandit(reward_dim=2)),
            "reward_dim: .* scalarise the rewards",
        ),
    ],
)
def test_refusals_name_the_field_and_the_fix(agent, call, message):
    with pytest.raises(UsageError, match=message):
        call(agent)


def test_their_configurations_differ_in_the_choices_of_td3_alone():
    names = [{field.name for field in dataclasses.fields(agent.Config)} for agent in AGENTS]
    assert names[0] == {field.name for field in dataclasses.fields(replay.Config)}
    assert names[1] - names[0] == {"layer_norm", "policy_delay", "behaviour_cloning"}
