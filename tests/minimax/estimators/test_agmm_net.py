"""AGMM: losses by hand, and its recursion written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import agmm_net
from jaxrl.minimax.estimators.networks import leaky
from jaxrl.run.sweep import member_keys

AT = np.linspace(-2, 2, 5)[:, None]


@pytest.fixture(scope="module")
def data():
    """Zoo A, |x|, cut to 40 rows per split."""
    whole = zoo("abs", "A")
    return whole.train.rows(slice(0, 40)), whole.dev.rows(slice(0, 40))


def test_agmm_losses_by_hand():
    f, g, y = np.array([1.0, 2.0]), np.array([3.0, -1.0]), np.array([0.0, 4.0])
    # y - f = (-1, 2), times g = (-3, -2), g^2 = (9, 1)
    np.testing.assert_allclose(agmm_net.losses(f, g, y), (-2.5, 7.5))


def test_agmm_is_its_recursion(data):
    """Two full-batch passes without dropout: OAdam with betas (0, 0.01), decay of kernels, learner first."""
    train, _ = data
    config = agmm_net.Config(width=4, dropout=0.0, rate=1e-2, batch=40, epochs=2, burn_in=0)
    keys = member_keys(3, 1)
    ours = agmm_net.fit(config, keys, train, AT)[0]
    x, z, y = (a.astype(np.float32) for a in train[:3])
    f_net, g_net = leaky((1, 4, 1)), leaky((2, 4, 1))
    k_f, k_g, _, _ = jax.random.split(keys[0], 4)
    players = [f_net.init(k_f), g_net.init(k_g)]

    def residual(f):
        return y - f_net.apply(f, x)[:, 0]

    gradients = (
        jax.jit(jax.grad(lambda f, g: jnp.mean(residual(f) * g_net.apply(g, z)[:, 0]))),
        jax.jit(
            jax.grad(
                lambda g, f: jnp.mean(-residual(f) * g_net.apply(g, z)[:, 0] + g_net.apply(g, z)[:, 0] ** 2)
            )
        ),
    )
    second = [jax.tree.map(np.zeros_like, p) for p in players]
    before = [jax.tree.map(np.zeros_like, p) for p in players]
    answers = []
    for t in (1, 2):
        for i, l2 in ((0, 1e-3), (1, 1e-4)):
            gradient = gradients[i](players[i], players[1 - i])
            gradient = jax.tree.map(lambda d, p, l2=l2: d + l2 * p * (p.ndim > 1), gradient, players[i])
            second[i] = jax.tree.map(lambda v, d: 0.01 * v + 0.99 * d**2, second[i], gradient)
            move = jax.tree.map(
                lambda d, v, t=t: 1e-2 * d / (np.sqrt(v / (1 - 0.01**t)) + 1e-8), gradient, second[i]
            )
            players[i] = jax.tree.map(lambda p, u, b: p - 2 * u + b, players[i], move, before[i])
            before[i] = move
        answers.append(f_net.apply(players[0], AT.astype(np.float32))[:, 0])
    np.testing.assert_allclose(ours, np.mean(answers, axis=0), rtol=1e-4, atol=1e-5)


def test_settings_of_agmm_are_checked():
    with pytest.raises(UsageError, match=r"Config.burn_in: must be < epochs = 300"):
        agmm_net.Config(burn_in=300)
    with pytest.raises(UsageError, match=r"Config.dropout: must be in \[0, 1\)"):
        agmm_net.Config(dropout=1.0)
