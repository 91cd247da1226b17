"""The first action decides the last reward; what lies between says nothing about it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.small.delayed_chain import DelayedChain


def play(env, params, actions, u):
    """Rewards, ends and observations of a scripted episode, by steps outside of a compiled loop."""

    def body(state, row):
        state, out = env.step_u(state, *row, params)
        return state, (out.reward, out.terminated, out.obs)

    state, _ = env.reset(jax.random.key(0), params)
    _, rows = jax.lax.scan(body, state, (jnp.asarray(actions, jnp.int32), jnp.asarray(u, jnp.float32)))
    return jax.tree.map(np.asarray, rows)


@pytest.mark.parametrize(("first", "correct", "end"), [(0, 0, 1), (0, 1, -1), (1, 0, -1), (1, 1, 1)])
def test_the_first_action_decides_the_reward_at_the_end(first, correct, end):
    env = DelayedChain(longest=8, shortest=3)
    params = env.default_params()._replace(length=jnp.int32(5), correct=jnp.int32(correct))
    reward, ends, obs = play(env, params, [first, 1 - first, 0, 1, 1 - first], np.zeros((5, 1)))
    assert reward.tolist() == [0, 0, 0, 0, end]
    assert ends.tolist() == [False] * 4 + [True]
    assert obs.tolist() == [1, 2, 3, 4, 5]  # the same on both branches
    assert env.time_limit(params) == 9


def test_noise_is_a_coin_at_every_step_but_the_last():
    env = DelayedChain(longest=4, noisy=True, shortest=4)
    u = np.array([0.1, 0.7, 0.49, 0.9])[:, None]
    reward, _, _ = play(env, env.default_params(), [1, 0, 0, 0], u)
    assert reward.tolist() == [1, -1, 1, 1]  # the last one is the correct action's


def test_distractors_are_coins_of_their_own():
    env = DelayedChain(longest=2, shortest=2, bits=3)
    u = [[0.9, 0.1, 0.8, 0.3], [0.9, 0.6, 0.2, 0.7]]
    reward, _, obs = play(env, env.default_params(), [1, 1], u)
    assert obs["bits"].tolist() == [[1, 0, 1], [0, 1, 0]] and obs["step"].tolist() == [1, 2]
    assert reward.tolist() == [0, 1]
    starts = jax.vmap(lambda key: env.reset(key, env.default_params())[1]["bits"])
    share = starts(jax.random.split(jax.random.key(0), 2000)).mean(0)
    np.testing.assert_allclose(share, 0.5, atol=5 * 0.5 / np.sqrt(2000))  # five standard errors


def test_levels_have_every_length_and_either_correct_action_equally_often():
    env = DelayedChain()
    levels = jax.vmap(env.sample_params)(jax.random.split(jax.random.key(0), 5200))
    counts = np.bincount(levels.length, minlength=31)
    assert counts[:5].sum() == 0 and counts[5:].min() > 0
    expected = 5200 / 26
    assert ((counts[5:] - expected) ** 2 / expected).sum() < 60.1  # chi-squared of 25: 1e-4 of all seeds fail
    assert abs(float(levels.correct.mean()) - 0.5) < 5 * 0.5 / np.sqrt(5200)


def test_the_picture_shows_the_branch_and_the_step():
    env = DelayedChain(longest=4, shortest=2)
    params = env.default_params()._replace(length=jnp.int32(3))
    state, _ = env.reset(jax.random.key(0), params)
    picture = np.asarray(env.render(state._replace(t=jnp.int32(2), first=jnp.int32(1)), params))[::16, ::16]
    assert picture.shape == (2, 5, 3)
    agent = picture[1, 2]
    assert ((picture == agent).all(-1)).sum() == 1
    assert (picture[0, 3] != picture[1, 3]).any()  # the wrong and the correct end
    assert not picture[:, 4].any()  # beyond the chain


def test_a_shortest_chain_beyond_the_longest_is_refused():
    with pytest.raises(UsageError, match=r"DelayedChain\.shortest: 9 is more than longest = 4"):
        DelayedChain(longest=4, shortest=9)
