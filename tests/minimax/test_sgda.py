"""Descent-ascent as it is run: variants, padding, the driver, optimism, Langevin games."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax import mfl, sgda
from jaxrl.minimax.optimisers import scale_by_oadam, scale_by_optimism
from jaxrl.minimax.problem import minibatch, points
from jaxrl.minimax.velocity import Networks, Players, velocity
from jaxrl.run.sweep import stack_hypers
from jaxrl.run.train import train
from theory.minimax.oracles import saddle
from theory.minimax.setting import reference

MADE = reference(8)


def at(players, alpha):
    move = velocity(Networks(), players, MADE, alpha)
    return move.primal, move.dual


def shifted(players, primal, dual):
    return Players(
        players.primal._replace(theta=players.primal.theta + primal),
        players.dual._replace(theta=players.dual.theta + dual),
    )


@pytest.mark.parametrize("method", ["simultaneous", "alternating", "extragradient", "ogda"])
def test_methods_are_their_recursions(method):
    """Three updates with different steps of both players, against the recursion written out."""
    eps, tau, alpha = 0.2, 1.5, 2.0
    with jax.enable_x64(True):
        algorithm = sgda.make(sgda.Config(width=4, init="iid", method=method))
        hyper = sgda.Hyper(alpha=alpha, eps=eps, tau=tau)
        state = algorithm.init(jax.random.key(0), hyper, MADE)
        players, before = state.params, (0.0, 0.0)
        step = jax.jit(algorithm.step)
        for _ in range(3):
            state, metrics = step(state, hyper, MADE)
            v, w = at(players, alpha)
            first = velocity(Networks(), players, MADE, alpha)
            assert float(metrics["loss"]) == pytest.approx(float(MADE.loss(first.f, first.g)), abs=1e-14)
            if method == "alternating":
                w = at(shifted(players, eps * v, 0.0), alpha)[1]
            if method == "extragradient":
                v, w = at(shifted(players, eps * v, tau * eps * w), alpha)
            used = (2 * v - before[0], 2 * w - before[1]) if method == "ogda" else (v, w)
            before = v, w
            players = shifted(players, eps * used[0], tau * eps * used[1])
        np.testing.assert_allclose(state.params.primal.theta, players.primal.theta, atol=1e-13)
        np.testing.assert_allclose(state.params.dual.theta, players.dual.theta, atol=1e-13)
        moved = alpha * np.sqrt(np.sum((state.params.primal.theta - state.start[0]) ** 2, axis=1).mean())
        assert moved > 0


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
    """A14."""
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


def test_one_program_over_seeds_scales_and_widths_gives_the_single_runs():
    """A12: 200 updates, padded to 16 particles, against runs of the width itself without padding."""
    traces = []

    def end(width, key, alpha, live):
        traces.append(width)
        algorithm = sgda.make(sgda.Config(width=width))
        hyper = sgda.Hyper(alpha=alpha, eps=0.1, live=live)
        state, _ = sgda.run(algorithm, key, hyper, MADE, 200)
        return sgda.evaluate(sgda.Config(width=width), state, hyper, jnp.asarray(MADE.x))

    with jax.enable_x64(True):
        keys, alphas, widths = (
            jax.random.split(jax.random.key(0), 2),
            jnp.array([1.0, 4.0]),
            jnp.array([6, 16]),
        )
        axes = ((0, None, None), (None, 0, None), (None, None, 0))
        many = lambda *args: end(16, *args)  # noqa: E731
        for axis in axes:
            many = jax.vmap(many, axis)
        found = np.asarray(jax.jit(many)(keys, alphas, widths))  # [width, alpha, seed, node]
        assert len(traces) == 1
        for i, width in enumerate((6, 16)):
            alone = jax.jit(lambda key, alpha, n=width: end(n, key, alpha, None))
            for j in range(2):
                for k in range(2):
                    np.testing.assert_allclose(found[i, j, k], alone(keys[k], alphas[j]), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_it_learns_from_single_observations():
    """NPIV with a confounder: closer to the truth than the regression of y on x can be."""
    rng = np.random.default_rng(0)
    z, xi = rng.normal(size=(2, 2000)).astype(np.float32)
    x = (0.7 * z + np.sqrt(0.51) * xi).astype(np.float32)
    y = np.sin(x) + xi
    data = points(x[:, None, None], np.ones((2000, 1)), y, z[:, None, None], lam=1e-3)
    config = sgda.Config(width=64)
    algorithm = sgda.make(config, minibatch(100))
    grid = np.linspace(-1.5, 1.5, 13, dtype=np.float32)[:, None]

    @jax.jit
    def learn(key, data):
        look = lambda state: sgda.evaluate(config, state, sgda.Hyper(), grid)  # noqa: E731
        return sgda.run(algorithm, key, sgda.Hyper(), data, 2000, look, every=20)[1]

    path = np.asarray(learn(jax.random.key(0), data))
    assert path.shape == (100, 13)
    error = np.sqrt(np.mean((path[50:].mean(0) - np.sin(grid[:, 0])) ** 2))
    naive = np.polyfit(x, y, 5)
    assert error < 0.3 < np.sqrt(np.mean((np.polyval(naive, grid[:, 0]) - np.sin(grid[:, 0])) ** 2))


def test_the_driver_names_the_run_and_step_that_broke(capsys):
    algorithm = sgda.make(sgda.Config(width=6))
    data = jax.tree.map(lambda a: np.asarray(a, np.float32), MADE)
    hypers = stack_hypers([sgda.Hyper(eps=0.1), sgda.Hyper(eps=1e30)], 1)
    trained = train(
        algorithm, jax.random.split(jax.random.key(0), 2), hypers, data, updates=20, labels=["a", "b"]
    )
    assert trained.diverged.tolist() == [False, True]
    assert 0 <= min(v[1] for v in trained.first_bad.values() if v[1] >= 0) < 20
    said = capsys.readouterr()
    assert "NonFinite: run train, b: " in said.out + said.err
    odd = stack_hypers([sgda.Hyper(live=5), sgda.Hyper(live=6)], 1)
    trained = train(algorithm, jax.random.split(jax.random.key(0), 2), odd, data, updates=2, progress=False)
    assert trained.diverged.tolist() == [True, False]


def test_a_centred_model_starts_at_zero_and_a_penalty_can_be_replaced():
    with jax.enable_x64(True):
        config = sgda.Config(width=5, init="centred", mean=(1.0, 0.0, 1.0))
        algorithm = sgda.make(config)
        state = algorithm.init(jax.random.key(0), sgda.Hyper(), MADE)
        np.testing.assert_allclose(sgda.evaluate(config, state, sgda.Hyper(), MADE.x), 0, atol=1e-15)
        np.testing.assert_allclose(
            sgda.evaluate(config, state, sgda.Hyper(), MADE.z, dual=True), 0, atol=1e-15
        )
        _, metrics = algorithm.step(state, sgda.Hyper(), MADE)
        assert float(metrics["loss"]) == pytest.approx(0.0, abs=1e-14)  # of f = g = 0, u = 0
        changed, _ = algorithm.step(state, sgda.Hyper(lam=5.0), MADE)
        direct, _ = algorithm.step(state, sgda.Hyper(), MADE._replace(lam=5.0))
        np.testing.assert_array_equal(changed.params.primal.theta, direct.params.primal.theta)


def test_noise_spreads_the_particles():
    """With a temperature and no problem, positions approach N(0, I) at rate temperature / alpha^2."""
    flat = MADE._replace(T=0 * MADE.T, h=0 * MADE.h, lam=0.0)
    with jax.enable_x64(True):
        algorithm = sgda.make(sgda.Config(width=2000, init="iid", scale=0.1, noise=True))
        hyper = sgda.Hyper(alpha=2.0, eps=0.1, temperature=2.0)
        state, _ = jax.jit(lambda: sgda.run(algorithm, jax.random.key(1), hyper, flat, 40))()
        # g = 0 is the best answer to T = 0, h = 0, and f has no pull at all
        rate = 2.0 / 4 * 0.1
        v = 0.01
        for _ in range(40):
            v = (1 - rate) ** 2 * v + 2 * rate
        rows = np.asarray(state.params.primal.theta)
    # standard error of a variance: v sqrt(2 / 6000) = 1.8 %
    assert rows.var() == pytest.approx(v, rel=0.09)


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
    with pytest.raises(UsageError, match=r"Config.method: 'gda'"):
        mfl.Config(method="gda")
    with pytest.raises(UsageError, match=r"Config.inner"):
        mfl.Config(inner=0)
