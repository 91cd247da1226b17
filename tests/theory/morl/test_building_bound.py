"""The building's linear programme against published optima, and against the environment itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.control.building import Building, BuildingState
from theory.morl.building_bound import bound


def play(powers, objectives=3):
    """Returns float64[m] of `powers` float[T, 23] from hour 1 without noise."""
    env, half = Building(objectives), jnp.full(2, 0.5)
    params = env.default_params()._replace(noise=jnp.float64(0))
    state = BuildingState(jnp.full(23, 20.0), jnp.int32(1), jnp.int32(0), jnp.zeros((2, 3)), jnp.zeros(2))

    def body(state, action):
        state, out = env.step_u(state, action, half, params)
        return state, out.reward

    return jax.jit(lambda a: jax.lax.scan(body, state, a)[1].sum(0))(jnp.asarray(powers))


@pytest.mark.parametrize(
    "weights", [(0.8, 0.2, 0.0), (0.6, 0.2, 0.2), (0.3, 0.3, 0.1, 0.05, 0.02, 0.03, 0.1, 0.05, 0.05)]
)
def test_half_a_day_of_best_powers_earns_its_bound_in_the_environment(weights):
    best, w = bound(weights, horizon=12), np.array(weights)
    m = len(w)
    paid = np.arange(m) < 2 * m // 3  # comfort and cost; ramping counts with its ceiling
    with jax.enable_x64(True):
        found, idle = (np.asarray(play(a, m)) for a in (best.powers, np.zeros((12, 23))))
    np.testing.assert_allclose(found[paid], best.returns[paid], atol=1e-5)
    assert np.all(found[~paid] <= best.returns[~paid])
    assert best.value == pytest.approx(w @ best.returns, abs=1e-9)
    assert np.abs(best.powers).max() <= 1 and w[paid] @ found[paid] > w[paid] @ idle[paid]


def test_without_a_weight_on_comfort_no_power_is_best_and_is_worth_the_bound():
    weights = np.array([0, 0, 0, 0.2, 0.3, 0.1, 0.1, 0.2, 0.1])
    with jax.enable_x64(True):
        idle = np.asarray(play(np.zeros((12, 23)), 9))
    assert bound(weights, horizon=12).value == pytest.approx(weights @ idle, abs=1e-5)


def test_comfort_of_one_part_alone_is_bounded_although_powers_are_free():
    best = bound(np.eye(9)[2], horizon=12)
    with jax.enable_x64(True):
        found = np.asarray(play(best.powers, 9))[2]
    # what the weight of energy may add: 0.001 x 0.05 x 23 zones x 12 hours
    assert found <= best.value + 1e-6 <= found + 0.0138 + 1e-4


def test_preferences_of_another_length_are_refused():
    with pytest.raises(UsageError, match="3 or 9 numbers"):
        bound((0.5, 0.5))


@pytest.mark.parametrize(
    ("weight", "limit", "value", "returns"),
    [
        (1.0, 1.0, 1090.097332, None),
        (0.9, 1.0, 1051.480402, (1087.1429, 730.5175)),
        (0.8, 1.0, 1017.274818, (1082.6580, 755.7422)),
        (0.5, 1.0, 944.852190, (967.7752, 921.9292)),
        (1.0, None, 1104.0, None),
        (0.8, None, 1019.418697, None),
    ],
)
def test_two_days_have_the_published_optima(weight, limit, value, returns):
    best = bound((weight, 1 - weight, 0), horizon=48, limit=limit)
    assert best.value == pytest.approx(value, rel=1e-6)
    if returns is not None:
        np.testing.assert_allclose(best.returns[:2], returns, rtol=1e-5)
