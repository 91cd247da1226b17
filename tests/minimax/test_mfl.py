"""Langevin games: the saddle they find, and the weights of the averaged gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_numbers
from jaxrl.minimax import mfl
from jaxrl.minimax.velocity import Networks
from theory.minimax.oracles import saddle
from theory.minimax.setting import reference

MADE = reference(8)


@pytest.mark.parametrize("method", ["da", "ag", "abr"])
def test_langevin_methods_find_the_saddle(method):
    """Of the bilinear payoff: N(0, 1) for both, here from far away."""
    algorithm = mfl.make(mfl.Config(width=400, method=method), mfl.BILINEAR)
    hyper = mfl.Hyper(eps=0.05, temperature=1.0)

    @jax.jit
    def run(key):
        state = algorithm.init(key, hyper, None)
        state = state.replace(params=(state.params[0] + 2, state.params[1] - 1))
        return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, None)[0], None), state, length=600)[0]

    state = run(jax.random.key(2))
    # standard errors: 1 / 20 of a mean, sqrt(2) / 20 of a variance
    for rows in state.params:
        assert abs(float(rows.mean())) < 0.25
        assert 0.7 < float(rows.var()) < 1.35


@pytest.mark.slow
def test_langevin_descent_ascent_on_networks():
    with jax.enable_x64(True):
        algorithm = mfl.make(mfl.Config(width=200, method="da"), mfl.network_game(Networks(), alpha=2.0))
        hyper = mfl.Hyper(eps=0.1, temperature=1e-4)

        @jax.jit
        def run(key):
            state = algorithm.init(key, hyper, MADE)
            return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, MADE)[0], None), state, length=1500)[0]

        state = run(jax.random.key(0))
        policy = algorithm.act(state, hyper, True)
        f = np.array([policy.act(None, jnp.asarray(x), ())[0] for x in MADE.x])
    error = f - saddle(MADE)[0]
    assert np.sqrt(MADE.p @ error**2) < 0.15 * np.sqrt(MADE.p @ saddle(MADE)[0] ** 2)


def test_langevin_options_are_checked():
    with pytest.raises(UsageError, match=r"Config.method: must be one of"):
        mfl.Config(method="gda")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"Config.inner: must be >= 1"):
        mfl.Config(inner=0)
    with pytest.raises(UsageError, match=r"Hyper.share: must be in \[0, 1\]"):
        check_numbers(mfl.Hyper(share=1.5))


def test_the_averaged_gradient_weighs_the_past_by_powers_of_the_update():
    """One particle per player on the payoff x y, without noise: the recursion with weights 1, 4, 9, 16."""
    eps = 0.1
    algorithm = mfl.make(mfl.Config(width=1, method="ag"), mfl.BILINEAR)
    hyper = mfl.Hyper(eps=eps, temperature=0.0, power=2.0)
    state, step = algorithm.init(jax.random.key(0), hyper, None), jax.jit(algorithm.step)
    x, y = (float(rows[0, 0]) for rows in state.params)
    past_x, past_y = [], []
    for k in range(1, 5):
        past_x.append(y)  # the derivative of x y in x
        past_y.append(x)
        weights = np.arange(1, k + 1) ** 2
        x, y = x - eps * np.average(past_x, weights=weights), y + eps * np.average(past_y, weights=weights)
        state, _ = step(state, hyper, None)
        np.testing.assert_allclose([float(rows[0, 0]) for rows in state.params], [x, y], rtol=1e-5)
