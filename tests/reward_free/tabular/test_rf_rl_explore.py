"""RF-RL-Explore (UCBVI): inner index beside loops, split of the budget, bad input, and the lock of six."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free.tabular import rf_rl_explore
from jaxrl.reward_free.tabular.counts import kernel, visits
from jaxrl.run.sweep import sweep
from tests.reward_free.mixtures import hashed
from tests.reward_free.tabular.loops import random_counts, row

S, A, H, K, DELTA = 4, 3, 5, 50, 0.1


def test_inner_index_equals_the_loops():
    for seed in range(5):
        counts = random_counts(seed, 1, S, A)
        target, stage = seed % S, 1 + seed % (H - 1)
        Q, V = np.zeros((H, S, A)), np.eye(S)[target]
        for h in reversed(range(stage)):
            for s in range(S):
                for a in range(A):
                    n, p = row(counts, h, s, a, 1 / S)
                    bonus = 0.3 * math.sqrt(math.log(2 * S * A * H * K / DELTA) / max(n, 1))
                    Q[h, s, a] = min(1.0, bonus + sum(p[x] * V[x] for x in range(S)))
            V = Q[h].max(-1)
        with jax.enable_x64(True):
            table = jnp.asarray(counts)
            b = 0.3 * rf_rl_explore.width(visits(table)[0], jnp.asarray(H), K, jnp.asarray(DELTA))
            found = rf_rl_explore.reaching(b, kernel(table), jnp.asarray(target), jnp.asarray(stage), H)
        np.testing.assert_allclose(found, Q, rtol=0, atol=1e-10)


def explored(which, horizon=3, budget=30, updates=40):
    mixture = hashed()
    return sweep(
        lambda config: rf_rl_explore.make(config, LinearMixture.of(mixture)),
        [(rf_rl_explore.Config(3, budget, which), rf_rl_explore.Hyper(horizon=horizon))],
        seeds=2,
        data=mixture,
        updates=updates,
        progress=False,
    )


@pytest.mark.parametrize("horizon", [2, 3])
def test_budget_is_split_between_learning_and_sampling(horizon):
    first = 3 * (horizon - 1) * (30 // (2 * 3 * (horizon - 1)))
    for member in explored("sampled", horizon):
        assert int(member.state.inner.sum()) == first * horizon
        assert int(member.state.counts.sum()) == (30 - first) * horizon
        assert int(member.state.updates) == 40
    for member in explored("all", horizon):
        assert int(member.state.counts.sum()) == 30 * horizon


def test_policies_of_the_first_part_are_kept_and_played_again():
    """In the second part every episode is greedy in one of the policies that were kept."""
    member = explored("sampled", updates=30)[0]
    kept = np.asarray(member.state.policies)[:12]
    index = np.asarray(member.state.index)
    stages = 1 + np.arange(12) // 2 % 2  # two episodes per state and stage, state by state
    same = [np.array_equal(index[:h].argmax(-1), kept[i, :h]) for i, h in enumerate(stages)]
    assert any(same)
    assert not index[2:].any()


def test_a_budget_too_small_is_refused_with_the_smallest_that_works():
    mixture = hashed()
    with pytest.raises(UsageError, match=r"Config\.budget: 11 episodes .* S = 3 and H = 3 is 12"):
        rf_rl_explore.make(rf_rl_explore.Config(3, 11), LinearMixture.of(mixture))
    rf_rl_explore.make(rf_rl_explore.Config(3, 12), LinearMixture.of(mixture))
    with pytest.raises(UsageError, match=r"Config\.horizon: must be >= 2"):
        rf_rl_explore.make(rf_rl_explore.Config(1, 12), LinearMixture.of(mixture))
