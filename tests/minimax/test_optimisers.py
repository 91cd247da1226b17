"""Optimistic steps against the released recursion, and against those of optax."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.minimax.optimisers import scale_by_oadam, scale_by_optimism


def game(transform, steps=50):
    """min_x max_y x y from (1, 1), rate 0.01."""
    with jax.enable_x64(True):
        xy = jnp.ones(2)

        def step(carry, _):
            xy, state = carry
            update, state = transform.update(jnp.array([xy[1], -xy[0]]), state, xy)
            return (xy + update, state), None

        return np.asarray(jax.lax.scan(step, (xy, transform.init(xy)), length=steps)[0][0])


def test_oadam_is_the_released_recursion_and_not_that_of_optax():
    ours = game(optax.chain(scale_by_oadam(0.9, 0.999), optax.scale(-0.01)))
    np.testing.assert_allclose(ours, [0.46615025, 1.46619454], atol=5e-9)
    xy, m, v, before = np.ones(2), np.zeros(2), np.zeros(2), np.zeros(2)
    for t in range(1, 51):
        g = np.array([xy[1], -xy[0]])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        u = 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        xy, before = xy - 2 * u + before, u
    np.testing.assert_allclose(ours, xy, rtol=0, atol=1e-12)
    for options, expected in (
        ({"nesterov": False}, (0.47605522, 1.45694606)),
        ({}, (0.46902202, 1.45603263)),
    ):
        np.testing.assert_allclose(game(optax.optimistic_adam_v2(0.01, **options)), expected, atol=5e-9)
    # plain descent-ascent leaves the saddle, optimism approaches it
    away = game(optax.scale(-0.1), 300)
    closer = game(optax.chain(scale_by_optimism(), optax.scale(-0.1)), 300)
    assert np.linalg.norm(away) > 4 and np.linalg.norm(closer) < 0.5
