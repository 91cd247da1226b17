"""Neural estimators: steps against recursions written out, selection against loops, stages by formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import agmm_net, deep_gmm, dfiv, two_stage
from jaxrl.minimax.estimators.networks import epoch, leaky
from jaxrl.run.sweep import member_keys

AT = np.linspace(-2, 2, 5)[:, None]


@pytest.fixture(scope="module")
def data():
    """Zoo A, |x|, cut to 40 rows per split."""
    whole = zoo("abs", "A")
    return whole.train.rows(slice(0, 40)), whole.dev.rows(slice(0, 40))


# -------------------------------------------------------------------------------------------- networks


def test_leaky_networks_by_hand():
    net = leaky((2, 5, 1), dropout=0.5)
    params = net.init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    (w1, b1), (w2, b2) = (
        (np.asarray(p["Dense_0"]["kernel"]), np.asarray(p["Dense_0"]["bias"])) for p in params
    )
    hidden = x @ w1 + b1
    hidden = np.where(hidden > 0, hidden, 0.01 * hidden)
    np.testing.assert_allclose(net.apply(params, x), hidden @ w2 + b2, rtol=1e-5, atol=1e-6)
    rectified = leaky((2, 5), rectify_last=True).apply(params[:1], x)
    np.testing.assert_allclose(rectified, hidden, rtol=1e-5, atol=1e-6)
    # without a hidden layer, dropout is unbiased
    line = leaky((2, 1), dropout=0.5)
    own = line.init(jax.random.key(1))
    keys = jax.random.split(jax.random.key(2), 4000)
    drawn = np.asarray(jax.jit(jax.vmap(lambda k: line.apply(own, x, k)))(keys))
    error = np.abs(drawn.mean(0) - line.apply(own, x))
    assert np.all(error < 5 * drawn.std(0) / np.sqrt(4000)) and drawn.std() > 0.05


def test_a_pass_visits_every_row():
    rows = np.asarray(epoch(jax.random.key(0), 10, 4))
    assert rows.shape == (3, 4)
    assert sorted(rows.ravel()[:10]) == list(range(10))
    np.testing.assert_array_equal(rows.ravel()[10:], rows.ravel()[:2])
    assert epoch(jax.random.key(0), 10, 1024).shape == (1, 10)


# --------------------------------------------------------------------------------------------- DeepGMM


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


# ------------------------------------------------------------------------------------------------ AGMM


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


# ------------------------------------------------------------------------------------------------ DFIV


def test_dfiv_stages_are_ridge_regressions():
    rng = np.random.default_rng(0)
    phi1, psi1, psi2 = rng.normal(size=(30, 2)), rng.normal(size=(30, 3)), rng.normal(size=(20, 3))
    y2 = rng.normal(size=20)
    with jax.enable_x64(True):
        loss, w = dfiv.stage2(*(jnp.asarray(a) for a in (phi1, psi1, psi2, y2)), 0.7, 0.3)
        first = dfiv.stage1_loss(jnp.asarray(phi1), jnp.asarray(psi1), 0.7)
    a, b = np.c_[psi1, np.ones(30)], np.c_[psi2, np.ones(20)]
    w1 = np.linalg.solve(a.T @ a + 0.7 * np.eye(4), a.T @ phi1)
    np.testing.assert_allclose(first, np.sum((phi1 - a @ w1) ** 2) + 0.7 * np.sum(w1**2), rtol=1e-10)
    c = np.c_[b @ w1, np.ones(20)]
    w2 = np.linalg.solve(c.T @ c + 0.3 * np.eye(3), c.T @ y2)
    np.testing.assert_allclose(w, w2, rtol=1e-9)
    np.testing.assert_allclose(loss, np.sum((y2 - c @ w2) ** 2) + 0.3 * np.sum(w2**2), rtol=1e-10)


def test_dfiv_with_fixed_features_is_two_stage_least_squares():
    s = zoo("linear", "A").train.rows(slice(0, 200))
    with jax.enable_x64(True):
        x, z, y = (jnp.asarray(a) for a in s[:3])
        _, w = dfiv.stage2(x, z, z, y, 1e-9, 1e-9)
        w = np.asarray(w)
    np.testing.assert_allclose(
        np.c_[AT, np.ones(5)] @ w, two_stage.tsls(s.x, s.z, s.y)(AT), rtol=1e-6, atol=1e-8
    )


# -------------------------------------------------------------------------------------------- learning


@pytest.mark.slow
def test_every_estimator_beats_regression_on_the_treatment():
    """400 rows of zoo A, |x|: least squares lines leave 0.39, a fit that ignores endogeneity 0.2 and more."""
    whole = zoo("abs", "A")
    train, dev, test = (s.rows(slice(0, 400)) for s in whole[:3])
    keys = member_keys(0, 2)
    fits = {
        "DeepGMM": deep_gmm.fit(
            deep_gmm.Config(rates=(5e-3,), batch=200, epochs=300, every=10, burn_in=100),
            keys,
            train,
            dev,
            test.x,
        ),
        "AGMM": agmm_net.fit(
            agmm_net.Config(width=32, rate=1e-3, epochs=150, burn_in=50), keys, train, test.x
        ),
        "DFIV": dfiv.fit(dfiv.Config(rate=5e-3, epochs=60), keys, train, test.x),
    }
    for name, f in fits.items():
        assert f.shape == (2, 400)
        error = np.mean((f - test.truth) ** 2, -1)
        assert np.all(error < 0.15), (name, error)
        assert np.abs(f[0] - f[1]).max() > 1e-4  # seeds differ


def test_bad_settings_are_refused():
    with pytest.raises(UsageError, match="epochs: must be a multiple of every = 20"):
        deep_gmm.Config(epochs=30)
    with pytest.raises(UsageError, match="burn_in: must lie between 0 and epochs = 300"):
        agmm_net.Config(burn_in=300)
    with pytest.raises(UsageError, match="split: must lie between 0 and 1"):
        dfiv.Config(split=1.0)
    with pytest.raises(UsageError, match="lam1, lam2: must be > 0"):
        dfiv.Config(lam2=0.0)
