"""Offline warm start: what the data add to the regressions, the first estimate, online episodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.data.collect import collect
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.reward_free import hf, warm_start
from jaxrl.reward_free.tabular import uniform
from jaxrl.run.sweep import sweep
from tests.reward_free.mixtures import hashed, three_lock

MIXTURE = three_lock()
ENV = LinearMixture.of(MIXTURE)
CONFIG = hf.Config(horizon=5, episodes=5, orders=2)
HYPER = hf.Hyper(horizon=5, c_beta=0.05, bound=2.7, epsilon=0.25)


def offline(episodes):
    """A dataset of uniform actions in episodes of five steps."""
    algorithm = uniform.make(uniform.Config(5), ENV)
    hyper = uniform.Hyper(5)
    policy = algorithm.act(algorithm.init(jax.random.key(0), hyper, MIXTURE), hyper, False)
    env = finite_horizon(ENV, 5)
    return collect(env, policy, jax.random.key(7), env.extend(MIXTURE), episodes=episodes, limit=5)


def data(episodes):
    return warm_start.Data(MIXTURE, warm_start.offline_counts(offline(episodes), 5, 2))


def test_moment_zero_of_both_series_holds_the_transitions_and_no_other_moment():
    found = data(6)
    assert int(found.counts.sum()) == 30
    cold = hf.make(CONFIG, ENV).init(jax.random.key(0), HYPER, MIXTURE)
    warm = warm_start.make(CONFIG, ENV).init(jax.random.key(0), HYPER, found)
    phi = np.asarray(MIXTURE.phi, np.float64)
    counts = np.asarray(found.counts[0], np.float64)
    gram = np.einsum("sa,saxi,saxj->ij", counts.sum(-1), phi, phi)
    b = np.einsum("sax,saxi->i", counts, phi)
    for series in range(2):
        more = warm.regressions.gram[series, 0, 0] - cold.regressions.gram[series, 0, 0]
        np.testing.assert_allclose(more, gram, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(warm.regressions.b[series, 0, 0], b, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(warm.regressions.gram[series, 1], cold.regressions.gram[series, 1])
        np.testing.assert_array_equal(warm.regressions.b[series, 1], 0)


def test_empty_regressions_do_not_pull_the_first_estimate_away_from_the_offline_data():
    config = hf.Config(horizon=5, episodes=1, orders=2)
    algorithm = warm_start.make(config, ENV)
    found = data(100)
    start = algorithm.init(jax.random.key(0), HYPER, found)
    state, metrics = jax.jit(algorithm.step)(start, HYPER, found)
    away = np.linalg.norm(np.asarray(state.theta)[0] - np.asarray(MIXTURE.theta))
    assert away < 0.5  # 2.3 where they pull
    assert metrics["violated"] == 0
    assert metrics["certificate"] > 0.25


@pytest.mark.slow
def test_offline_data_save_as_many_online_episodes_as_in_another_implementation():
    config = hf.Config(horizon=5, episodes=20)
    sizes = (0, 10, 100, 1000)  # episodes of five transitions
    bands = ((532, 561), (406, 435), (227, 258), (1, 1))  # measured there, six seeds, widened by a quarter
    for size, (low, high) in zip(sizes, bands, strict=True):
        found = data(size) if size else warm_start.Data(MIXTURE, jnp.zeros((1, 5, 2, 5), jnp.int32))
        members = sweep(
            lambda config: warm_start.make(config, ENV),
            [(config, HYPER)],
            seeds=2,
            data=found,
            updates=40,
            progress=False,
        )
        certified = np.array([int(member.state.certified) for member in members])
        assert (certified >= 0.75 * low).all() and (certified <= 1.25 * high).all(), (size, certified)


def test_a_dataset_that_does_not_fit_is_refused():
    rows = offline(2)
    with pytest.raises(UsageError, match=r"dataset\.obs: state \d is outside 0 \.\. 2"):
        warm_start.offline_counts(rows, 3, 2)
    with pytest.raises(UsageError, match=r"dataset\.action: action 1 is outside 0 \.\. 0"):
        warm_start.offline_counts(rows, 5, 1)
    with pytest.raises(UsageError, match="dataset: has no rows"):
        warm_start.offline_counts(rows.replace(mask=jnp.zeros(rows.size, bool)), 5, 2)
    with pytest.raises(UsageError, match="dataset: has no rows"):
        warm_start.offline_counts(rows.take(jnp.arange(0)), 5, 2)
    with pytest.raises(UsageError, match=r"dataset\.action: float32\[10\] is not one whole number per row"):
        warm_start.offline_counts(rows.replace(action=jnp.zeros(10)), 5, 2)
    with pytest.raises(UsageError, match=r"data\.counts: shape"):
        warm_start.make(CONFIG, ENV).check(warm_start.Data(MIXTURE, jnp.zeros((1, 3, 2, 3), jnp.int32)))
    with pytest.raises(UsageError, match="states and 2 actions given"):
        warm_start.make(CONFIG, ENV).check(data(1)._replace(mixture=hashed()))
