"""Descent-ascent as it is run: variants, padding, the driver, one batch over several devices."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_numbers
from jaxrl.minimax import sgda
from jaxrl.minimax.problem import minibatch, points, whole
from jaxrl.minimax.velocity import Networks, Players, velocity
from jaxrl.run.sweep import stack_hypers
from jaxrl.run.train import train
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


def test_one_program_over_seeds_scales_and_widths_gives_the_single_runs():
    """200 updates, padded to 16 particles, against runs of the width itself without padding."""
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
    endless = sgda.Hyper(eps=1e38, alpha=1e-4)  # eps / alpha overflows in float32
    hypers = stack_hypers([sgda.Hyper(eps=0.1), endless], 1)
    trained = train(
        algorithm, jax.random.split(jax.random.key(0), 2), hypers, data, updates=20, labels=["a", "b"]
    )
    assert trained.diverged.tolist() == [False, True]
    assert 0 <= min(v[1] for v in trained.first_bad.values() if v[1] >= 0) < 20
    said = capsys.readouterr()
    assert "NonFinite: run train, b: " in said.out + said.err
    # an odd number of live particles cuts a mirror pair in two, and there are six at most
    odd = stack_hypers([sgda.Hyper(live=5), sgda.Hyper(live=8), sgda.Hyper(live=6)], 1)
    trained = train(algorithm, jax.random.split(jax.random.key(0), 3), odd, data, updates=2, progress=False)
    assert trained.diverged.tolist() == [True, True, False]


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
        # g = 0 is the best answer to T = 0, h = 0, and the gradient in f is 0
        rate = 2.0 / 4 * 0.1
        v = 0.01
        for _ in range(40):
            v = (1 - rate) ** 2 * v + 2 * rate
        rows = np.asarray(state.params.primal.theta)
    # standard error of a variance: v sqrt(2 / 6000) = 1.8 %
    assert rows.var() == pytest.approx(v, rel=0.09)


def test_a_batch_divided_over_four_devices_is_that_of_one():
    """Equal to 1e-6 after 5 updates, with noise, observations of unequal weights, and another penalty."""
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, 40, 2, 1)).astype(np.float32)
    fields = {"d": rng.normal(size=(40, 1)), "weight": rng.dirichlet(np.ones(40))}
    data = points(x, rng.normal(size=(40, 2)), rng.normal(size=40), z[:, :1], lam=0.1, **fields)
    config = sgda.Config(width=8, init="centred", method="extragradient", noise=True)
    hyper = sgda.Hyper(alpha=2.0, lam=0.3, temperature=0.1)
    many = spmd.data_parallel(sgda.make(config, axis="data"), spmd.mesh("data", jax.devices()[:4]), spmd.P())
    ends = []
    for algorithm in (sgda.make(config), many):
        state, step = algorithm.init(jax.random.key(0), hyper, data), jax.jit(algorithm.step)
        for _ in range(5):
            state, metrics = step(state, hyper, data)
        ends.append((state.params, metrics))
    chex.assert_trees_all_close(*ends, rtol=1e-6, atol=1e-6)


def test_batches_that_cannot_be_divided_are_refused():
    devices = spmd.mesh("data", jax.devices()[:4])

    def step(data, size):
        many = spmd.data_parallel(sgda.make(sgda.Config(width=4), size, axis="data"), devices, spmd.P())
        state = many.init(jax.random.key(0), sgda.Hyper(), data)
        return many.step(state, sgda.Hyper(), data)

    rows = points(np.ones((8, 1, 1)), np.ones((8, 1)), np.ones(8), np.ones((8, 1, 1)))
    with pytest.raises(UsageError, match="axis: a batch of 6 cannot be divided over 4 devices"):
        step(rows, minibatch(6))
    with pytest.raises(UsageError, match="axis: only Points can be divided over devices"):
        step(MADE, whole)


BAD = {
    "odd config": (lambda: sgda.Config(width=4, dual_width=5), "even with init='sym'"),
    "init": (lambda: sgda.Config(init="mirror"), "Config.init: must be one of 'sym'"),  # type: ignore[arg-type]
    "method": (lambda: sgda.Config(method="sgd"), "Config.method: must be one of"),  # type: ignore[arg-type]
    "width": (lambda: sgda.Config(width=0), "Config.width: must be >= 1"),
    "scale": (lambda: sgda.Config(scale=-1.0), "Config.scale: must be"),
    "means": (lambda: sgda.Config(mean=(0.0, 1.0)), "Config.mean: has 2 numbers, but particles have 3 param"),
    "scales": (lambda: sgda.Config(inputs=2, scale=(1.0,) * 4), "Config.scale: .* have 3 and 4 parameters"),
    "hyper lam": (lambda: check_numbers(sgda.Hyper(lam=-0.1)), "Hyper.lam: must be >= 0"),
    "hyper alpha": (lambda: check_numbers(sgda.Hyper(alpha=0.0)), "Hyper.alpha: must be > 0"),
    "every": (lambda: sgda.run(sgda.make(sgda.Config()), None, None, None, 5, every=2), "every: 2"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_refused(name):
    call, message = BAD[name]
    with pytest.raises(UsageError, match=message):
        call()


def test_policies_of_later_states_use_the_compiled_program():
    traces = []

    @jax.jit
    def ask(policy, obs):
        traces.append(obs)
        return policy.act(jax.random.key(0), obs, policy.memory)[0]

    config, hyper = sgda.Config(width=4, init="iid"), sgda.Hyper()
    algorithm = sgda.make(config)
    for seed in (0, 1):
        state = algorithm.init(jax.random.key(seed), hyper, MADE)
        found = ask(algorithm.act(state, hyper, True), jnp.ones(1))
        wanted = sgda.evaluate(config, state, hyper, jnp.ones((1, 1)))[0]
        rounding = float(jnp.finfo(jnp.float32).eps)  # the two programs may add the neurons in other orders
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=rounding)
    assert len(traces) == 1
