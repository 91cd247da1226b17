"""DeepGMM: losses by hand, the first step, and selection against a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import NumericalFailure, UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import deep_gmm
from jaxrl.minimax.estimators.networks import leaky
from jaxrl.run.sweep import member_keys

AT = np.linspace(-2, 2, 5)[:, None]


@pytest.fixture(scope="module")
def data():
    """Zoo A, |x|, cut to 40 rows per split."""
    whole = zoo("abs", "A")
    return whole.train.rows(slice(0, 40)), whole.dev.rows(slice(0, 40))


def test_deep_gmm_losses_by_hand():
    g, f, y = np.array([1.0, 2.0]), np.array([3.0, -1.0]), np.array([0.0, 4.0])
    # e = (1, -2), f e = (3, 2), f^2 e^2 = (9, 4)
    np.testing.assert_allclose(deep_gmm.losses(g, f, y), (2.5, -2.5 + 6.5 / 4))


def test_deep_gmm_first_step_is_twice_the_sign(data):
    """OAdam with u_0 = 0 moves every parameter by 2 rate sign(gradient) first."""
    train, dev = data
    config = deep_gmm.Config((4,), (3,), rates=(1e-3,), epochs=1, every=1, burn_in=0)
    keys = member_keys(0, 1)
    ours = deep_gmm.fit(config, keys, train, dev, AT)[0]
    k_g, k_f, _ = jax.random.split(keys[0], 3)
    g_net, f_net = leaky((1, 4, 1)), leaky((2, 3, 1))
    g = g_net.init(k_g)
    f = f_net.apply(f_net.init(k_f), train.z.astype(np.float32))[:, 0]

    @jax.jit
    def step(g):
        def loss(g):
            return jnp.mean(
                f * (g_net.apply(g, train.x.astype(np.float32))[:, 0] - train.y.astype(np.float32))
            )

        gradient = jax.grad(loss)(g)
        return jax.tree.map(lambda p, d: p - 2e-3 * d / (jnp.abs(d) + 1e-8), g, gradient)

    np.testing.assert_allclose(ours, g_net.apply(step(g), AT.astype(np.float32))[:, 0], rtol=1e-4, atol=1e-6)


def test_deep_gmm_selection_is_the_loop():
    rng = np.random.default_rng(0)
    config = deep_gmm.Config(epochs=40, every=2, burn_in=8, patience=3)
    y = rng.normal(size=6)
    seen = set()
    for _ in range(20):
        g, f = rng.normal(size=(2, 20, 6)), 0.3 * rng.normal(size=(2, 20, 6))
        tilde = np.mean([g[r, i] - y for r in range(2) for i in range(20)], axis=0)
        best = (-np.inf, 0, 0)
        for r in range(2):
            history, stale = [], 0
            for i in range(20):
                values = []
                for critic in f.reshape(40, 6):
                    moment = np.mean(critic * (g[r, i] - y))
                    values.append(moment - np.mean(critic**2 * tilde**2) / 4)
                score = -max(values)
                if i >= 4:
                    stale = 0 if score > max(history) else stale + 1
                history.append(score)
                if stale >= 3:
                    break
            top = int(np.argmax(history))
            if history[top] > best[0]:
                best = (history[top], r, top)
        assert deep_gmm.select(config, y, g, f) == best[1:]
        seen.add(best[1:])
    assert len(seen) > 5


def test_deep_gmm_never_selects_an_iterate_that_is_not_finite():
    rng = np.random.default_rng(0)
    config = deep_gmm.Config(epochs=40, every=2, burn_in=40)
    y, f = rng.normal(size=6), 0.3 * rng.normal(size=(2, 20, 6))
    g = y + rng.normal(size=(2, 20, 6))
    g[1, 7] = y  # no residual: the best there is
    assert deep_gmm.select(config, y, g, f) == (1, 7)
    g[0], g[1, 8], f[1, 3] = np.nan, np.inf, np.nan
    assert deep_gmm.select(config, y, g, f) == (1, 7)
    with pytest.raises(NumericalFailure, match="rates: none of the 2 candidates"):
        deep_gmm.select(config, y, np.full_like(g, np.nan), f)


def test_settings_of_deep_gmm_are_checked():
    with pytest.raises(UsageError, match=r"Config.epochs: must be a multiple of every = 20"):
        deep_gmm.Config(epochs=30)
    with pytest.raises(UsageError, match=r"Config.rates\[0\]: must be > 0"):
        deep_gmm.Config(rates=(0.0,))
    with pytest.raises(UsageError, match=r"Config.rates: needs one"):
        deep_gmm.Config(rates=())
