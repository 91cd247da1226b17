"""Episodes of tabular explorers: scripted uniforms, horizons as members, bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.data.collect import collect
from jaxrl.envs.tabular.generators import chain
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.reward_free.tabular import max_entropy
from jaxrl.reward_free.tabular.counts import no_counts, recorded
from jaxrl.reward_free.tabular.episodes import Uniforms, check_data, rollout, uniforms
from jaxrl.run.sweep import sweep
from tests.reward_free.mixtures import hashed, three_lock

MIXTURE = hashed()
ENV = LinearMixture.of(MIXTURE)


def test_an_episode_is_the_one_of_its_uniform_numbers():
    numbers = Uniforms(jnp.asarray(0.5), jnp.array([0.1, 0.95, 0.4]), jnp.zeros((3, 2)))
    states, actions = rollout(ENV, MIXTURE, lambda h, s, ties: (h + s) % 2, jnp.asarray(3), numbers)
    P, s = np.asarray(MIXTURE.to_tabular().P, np.float64), 0
    for h, u in enumerate((0.1, 0.95, 0.4)):
        assert (int(states[h]), int(actions[h])) == (s, (h + s) % 2)
        s = int(np.searchsorted(np.cumsum(P[s, (h + s) % 2]), u, side="right"))
    assert int(states[3]) == s


def test_uniform_numbers_of_the_first_stages_do_not_depend_on_the_size():
    short, long = (uniforms(jax.random.key(0), size, 3) for size in (4, 9))
    np.testing.assert_array_equal(short.steps, long.steps[:4])
    np.testing.assert_array_equal(short.ties, long.ties[:4])


def explored(size, horizons, lane=None):
    return sweep(
        lambda config: max_entropy.make(config, ENV),
        [(max_entropy.Config(size), max_entropy.Hyper(horizon=h)) for h in horizons],
        seeds=2,
        data=MIXTURE,
        updates=15,
        lane=lane,
        progress=False,
    )


def test_members_with_other_horizons_are_the_runs_of_programs_of_their_own():
    together = explored(6, (2, 6))
    for horizon, members in ((2, together[:2]), (6, together[2:])):
        for alone, member in zip(explored(horizon, (horizon,)), members, strict=True):
            assert int(member.state.counts.sum()) == 15 * horizon
            np.testing.assert_array_equal(alone.state.counts, member.state.counts)
            np.testing.assert_array_equal(alone.state.index, member.state.index[:horizon])


def test_wide_lanes_explore_the_same():
    for narrow, wide in zip(explored(4, (3, 4), lane=1), explored(4, (3, 4), lane=4), strict=True):
        np.testing.assert_array_equal(narrow.state.counts, wide.state.counts)


def test_exploration_policies_run_in_collect():
    member = explored(4, (4,))[0]
    algorithm = max_entropy.make(max_entropy.Config(4), ENV)
    policy = algorithm.act(member.state, member.hyper, False)
    env = finite_horizon(ENV, 4)
    data = collect(env, policy, jax.random.key(0), env.extend(MIXTURE), episodes=3, limit=4)
    assert data.obs["obs"].shape == (12,)
    np.testing.assert_array_equal(np.flatnonzero(data.terminated), [3, 7, 11])


def test_other_sizes_are_refused_with_the_fix():
    with pytest.raises(UsageError, match=r"S, A, H = 5, 2, None given to a learner for 3, 2, None"):
        check_data(ENV, three_lock())
    with pytest.raises(UsageError, match=r"make the learner with LinearMixture\.of"):
        sweep(
            lambda config: max_entropy.make(config, ENV),
            [(max_entropy.Config(4), max_entropy.Hyper(horizon=4))],
            seeds=1,
            data=three_lock(),
            updates=1,
        )


def test_kernels_that_are_none_are_refused():
    with pytest.raises(UsageError, match="sums to"):
        check_data(ENV, MIXTURE.replace(theta=1.1 * MIXTURE.theta))
    bad = MIXTURE.replace(theta=jnp.array([3.0, -3.0 + np.sqrt(2)]))
    with pytest.raises(UsageError, match="probabilities must be >= 0"):
        check_data(ENV, bad)
    mdp = chain(5)
    with pytest.raises(UsageError, match="sums to"):
        check_data(Tabular.of(mdp), mdp.replace(P=1.5 * mdp.P))


def test_parameters_that_change_with_the_step_are_refused():
    timed = MIXTURE.replace(theta=jnp.tile(MIXTURE.theta, (4, 1)))
    with pytest.raises(UsageError, match=r"S, A, H = 3, 2, 4 given"):
        check_data(ENV, timed)
    with pytest.raises(UsageError, match=r"env\.H: must be None, got 4"):
        max_entropy.make(max_entropy.Config(4), LinearMixture.of(timed))
    with pytest.raises(UsageError, match=r"env\.one_hot: must be False"):
        max_entropy.make(max_entropy.Config(4), Tabular(4, 2, one_hot=True))


def test_counts_of_an_episode_are_its_transitions():
    numbers = uniforms(jax.random.key(3), 5, 2)
    states, actions = rollout(ENV, MIXTURE, lambda h, s, ties: h % 2, jnp.asarray(4), numbers)
    counts = recorded(no_counts("pooled", 5, 3, 2), states, actions, jnp.asarray(4))
    expected = np.zeros((1, 3, 2, 3))
    for h in range(4):
        expected[0, int(states[h]), int(actions[h]), int(states[h + 1])] += 1
    np.testing.assert_array_equal(counts, expected)
