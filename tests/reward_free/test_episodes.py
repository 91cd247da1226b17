"""Episodes of learners on mixtures: the transitions that are learned from, and when they end."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import episodes, ucrl_rfe
from tests.reward_free.mixtures import hashed, three_lock


def test_transitions_follow_the_policy_for_the_horizon_and_no_longer():
    mixture = hashed()
    policy = jnp.asarray(np.random.default_rng(0).integers(0, 2, (6, 3)), jnp.int32)
    u = jnp.asarray([0.0, 0.9, 0.1, 0.6, 0.3, 0.3, 0.3])

    def learn(rows, h, pair, after):
        return rows.at[h].set(jnp.array([pair, after]))

    rows = episodes.run(
        LinearMixture.of(mixture), episodes.by_table(policy), jnp.full((6, 2), -1), 4, mixture, u, learn
    )
    s, P = 0, np.asarray(mixture.to_tabular().P)
    for h in range(4):
        a = int(policy[h, s])
        after = int((float(u[h + 1]) >= P[s, a].cumsum()).sum())
        assert rows[h].tolist() == [s * 2 + a, after]
        s = after
    assert np.all(rows[4:] == -1)


class Count(NamedTuple):
    n: jax.Array
    certified: jax.Array


@pytest.mark.parametrize(("end", "count"), [(100, 5), (3, 3)])
def test_several_episodes_end_at_the_certified_one(end, count):
    def one(state):
        n = state.n + 1
        return Count(n, jnp.where(n == end, n, -1))

    assert episodes.several(5, one, Count(jnp.int32(0), jnp.int32(-1))).n == count


def test_a_plan_is_due_at_first_and_after_growth():
    assert episodes.is_due(jnp.int32(0), 0.0, 0.0, 1.2)
    assert not episodes.is_due(jnp.int32(1), np.log(1.19), 0.0, 1.2)
    assert episodes.is_due(jnp.int32(1), np.log(1.21), 0.0, 1.2)


def test_episodes_draw_other_numbers_and_the_same_again():
    key = jax.random.key(0)
    first, again, other = (
        episodes.uniforms(key, jnp.int32(i), 4, jnp.int32(4), jnp.float32) for i in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape == (5,) and not np.any(first == other)


def test_numbers_of_the_stages_that_are_played_do_not_depend_on_the_room_of_the_program():
    key = jax.random.key(3)
    whole = jax.random.uniform(key, (101,), jnp.float32)
    for size, horizon in ((4, 4), (32, 8), (100, 8), (100, 32), (100, 33), (100, 100)):
        found = episodes.drawn(key, size, jnp.int32(horizon), jnp.float32)
        assert found.shape == (size + 1,)
        np.testing.assert_array_equal(found[: horizon + 1], whole[: horizon + 1])


def test_data_of_other_sizes_and_horizons_beyond_the_program_are_refused():
    algorithm = ucrl_rfe.make(ucrl_rfe.Config(horizon=4), LinearMixture.of(hashed()))
    with pytest.raises(UsageError, match=r"data: a mixture of 5 states .* for 3 and 2; use LinearMixture"):
        algorithm.check(three_lock())
    with pytest.raises(UsageError, match=r"Hyper.horizon: must be at most Config.horizon = 4, got 5"):
        algorithm.check_hyper(ucrl_rfe.Hyper(horizon=5, bound=2.0), hashed())
    with pytest.warns(UserWarning, match=r"Hyper.bound: 0.5 is below \|theta\*\| = 1.05409"):
        algorithm.check_hyper(ucrl_rfe.Hyper(horizon=4, bound=0.5), hashed())
