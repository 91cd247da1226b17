"""The building's linear programme against published optima, and against the environment itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.control.building import Building, BuildingState
from theory.morl.building_bound import bound


def play(powers):
    """Comfort and cost of `powers` float[T, 23] from hour 1 without noise, in float64."""
    env, half = Building(3), jnp.full(2, 0.5)
    params = env.default_params()._replace(noise=jnp.float64(0))
    state = BuildingState(jnp.full(23, 20.0), jnp.int32(1), jnp.int32(0), jnp.zeros((2, 3)), jnp.zeros(2))

    def body(state, action):
        state, out = env.step_u(state, action, half, params)
        return state, out.reward

    return jax.jit(lambda a: jax.lax.scan(body, state, a)[1].sum(0)[:2])(jnp.asarray(powers))


def test_a_day_of_best_powers_earns_its_bound_in_the_environment():
    best = bound(0.8, horizon=12)
    with jax.enable_x64(True):
        found = np.asarray(play(best.powers))
        idle = np.asarray(play(np.zeros((12, 23))))
    np.testing.assert_allclose(found, best.returns, atol=1e-5)
    assert best.value == pytest.approx(0.8 * found[0] + 0.2 * found[1], abs=1e-5)
    assert np.abs(best.powers).max() <= 1 and best.value > 0.8 * idle[0] + 0.2 * idle[1] + 5


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
    best = bound(weight, horizon=48, limit=limit)
    assert best.value == pytest.approx(value, rel=1e-6)
    if returns is not None:
        np.testing.assert_allclose(best.returns, returns, rtol=1e-5)
