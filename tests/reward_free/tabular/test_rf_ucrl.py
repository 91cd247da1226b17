"""RF-UCRL: both indices beside loops, the radius by hand, stopping, bad input."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free.tabular import rf_ucrl
from jaxrl.reward_free.tabular.counts import kernel, visits
from jaxrl.run.sweep import sweep
from tests.reward_free.mixtures import hashed
from tests.reward_free.tabular.loops import backup, random_counts

S, A, H, DELTA = 4, 3, 5, 0.1


def beta(n):
    return math.log(2 * S * A * H / DELTA) + (S - 1) * math.log(math.e * (1 + n / (S - 1)))


def sigma(j, gamma):
    return sum(gamma**i for i in range(j))


@pytest.mark.parametrize("groups", [1, H])
@pytest.mark.parametrize(("variant", "clip"), [("paper", False), ("official", False), ("official", True)])
def test_index_equals_the_loops(variant, clip, groups):
    gamma = 0.9
    for seed in range(5):
        counts = random_counts(seed, groups, S, A)

        def paper(h, n, mean):
            g = gamma * sigma(H - h - 1, gamma)
            own = math.inf if n == 0 and g > 0 else g * math.sqrt(2 * beta(n) / max(n, 1))
            return min(g, own + gamma * mean)

        def official(h, n, mean):
            return gamma * sigma(H - h, gamma) * math.sqrt(beta(n) / max(n, 1)) + gamma * mean

        cap = (lambda h: 2 * sigma(H - h, gamma)) if clip else (lambda h: math.inf)
        expected = backup(counts, H, paper if variant == "paper" else official, cap, 1 / S)
        with jax.enable_x64(True):
            table = jnp.asarray(counts)
            bonus = rf_ucrl.width(visits(table), jnp.asarray(H), jnp.asarray(DELTA), variant)
            found, value = rf_ucrl.error_bound(bonus, kernel(table), H, gamma, H + 2, variant, clip)
        np.testing.assert_allclose(found[:H], expected, rtol=0, atol=1e-10)
        np.testing.assert_array_equal(found[H:], 0)
        np.testing.assert_allclose(value, np.minimum(cap(0), expected[0].max(-1)), rtol=0, atol=1e-10)


def test_radius_has_the_values_computed_by_hand():
    n = np.array([0.0, 100.0])
    with jax.enable_x64(True):
        wide = jnp.zeros((1, 6, 2)).at[0, 0].set(n)
        width = rf_ucrl.width(wide, jnp.asarray(20.0), jnp.asarray(0.1), "official")
    np.testing.assert_allclose(width[0, 0, 0] ** 2, 13.476371, atol=1e-6)
    np.testing.assert_allclose(100 * width[0, 0, 1] ** 2, 28.698983, atol=1e-6)


def trained(epsilon, updates):
    mixture = hashed()
    env = LinearMixture.of(mixture)
    hyper = rf_ucrl.Hyper(horizon=4, bonus_scale=0.01, epsilon=epsilon)
    return sweep(
        lambda config: rf_ucrl.make(config, env),
        [(rf_ucrl.Config(4), hyper)],
        seeds=1,
        data=mixture,
        updates=updates,
        log_every=1,
        progress=False,
    )[0]


def test_exploration_stops_at_the_first_certificate_below_epsilon():
    free = trained(0.0, 40)
    certificates = free.history["certificate"]
    assert int(free.state.certified) == -1 and int(free.state.counts.sum()) == 40 * 4
    epsilon = float(np.sort(certificates)[20])
    first = int(np.argmax(certificates <= epsilon)) + 1
    stopped = trained(epsilon, 40)
    assert int(stopped.state.certified) == first < 40
    assert int(stopped.state.counts.sum()) == first * 4
    np.testing.assert_array_equal(stopped.history["certificate"][: first - 1], certificates[: first - 1])
    assert int(stopped.state.updates) == 40


def test_a_horizon_above_the_tables_is_refused():
    mixture = hashed()
    with pytest.raises(UsageError, match=r"Hyper\.horizon: 5 exceeds Config\.horizon = 4"):
        sweep(
            lambda config: rf_ucrl.make(config, LinearMixture.of(mixture)),
            [(rf_ucrl.Config(4), rf_ucrl.Hyper(horizon=5))],
            seeds=1,
            data=mixture,
            updates=1,
        )


@pytest.mark.parametrize(
    ("field", "value"), [("horizon", 0), ("delta", 0.0), ("delta", 1.0), ("bonus_scale", 0.0), ("gamma", 1.5)]
)
def test_hyper_parameters_outside_their_range_are_refused(field, value):
    mixture = hashed()
    with pytest.raises(UsageError, match=f"Hyper.{field}: must be"):
        sweep(
            lambda config: rf_ucrl.make(config, LinearMixture.of(mixture)),
            [(rf_ucrl.Config(4), rf_ucrl.Hyper(horizon=4).replace(**{field: value}))],
            seeds=1,
            data=mixture,
            updates=1,
        )
