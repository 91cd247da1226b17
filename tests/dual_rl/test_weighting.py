"""Weights of a given effective share against brute force, lambda-returns against rollout's, and training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from jaxrl.core.errors import UsageError
from jaxrl.dual_rl import forms
from jaxrl.dual_rl.data import Data, Reader, initial
from jaxrl.dual_rl.methods import METHODS, method
from jaxrl.dual_rl.networks import networks
from jaxrl.dual_rl.weighting import is_linear, lambda_advantage, share_weight
from jaxrl.rollout.returns import gae
from tests.dual_rl.dual_tables import BOX, OBS, check_data_parallel, dataset, floats, scan

RNG = np.random.default_rng(0)
Y = RNG.normal(size=9) * 3 + 40
P = RNG.dirichlet(np.ones(9))


def found(share, y=Y, p=P, **options):
    with jax.enable_x64(True):
        return np.asarray(share_weight(jnp.asarray(y), jnp.asarray(p), share, **options))


def effective(w, p=P):
    return (p @ w) ** 2 / (p @ w**2)


@pytest.mark.parametrize("share", [0.95, 0.6, 0.3])
def test_exponential_weights_are_those_of_a_search_over_temperatures(share):
    """The share falls with the temperature, so the first of a fine grid that is below it is the only one."""
    grid = np.linspace(0, 10, 200_001)
    w = np.exp(grid[:, None] * (Y - Y.max()))
    shares = (w @ P) ** 2 / (w**2 @ P)
    assert np.all(np.diff(shares) <= 1e-12)
    best = w[np.argmax(shares < share)]
    np.testing.assert_allclose(found(share), best / (P @ best), rtol=1e-3, atol=1e-6)
    assert effective(found(share)) == pytest.approx(share, abs=4e-5)  # z is found to 32 / 2^20


@pytest.mark.parametrize("share", [0.95, 0.6, 0.3])
def test_linear_weights_are_the_best_at_their_chi2_divergence(share):
    """Against SLSQP on max E w y over w >= 0 with E w = 1 and E (w - 1)^2 <= 1 / share - 1."""
    bounds = [
        {"type": "eq", "fun": lambda w: P @ w - 1},
        {"type": "ineq", "fun": lambda w: 1 / share - 1 - P @ (w - 1) ** 2},
    ]
    best = minimize(
        lambda w: -(P * (Y - Y.mean())) @ w,
        np.ones(9),
        bounds=[(0, None)] * 9,
        constraints=bounds,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    ).x
    mine = found(share, linear=True)
    assert effective(mine) == pytest.approx(
        share, abs=4e-5
    )  # z is found to 32 / 2^20 and P @ mine == pytest.approx(1)
    assert (P * Y) @ mine == pytest.approx((P * Y) @ best, abs=1e-4)
    np.testing.assert_allclose(mine, best, atol=5e-3)


@pytest.mark.parametrize("linear", [False, True])
def test_weights_know_no_unit_and_end_at_cloning_and_at_the_largest(linear):
    w = found(0.5, linear=linear)
    np.testing.assert_allclose(found(0.5, 1e3 * Y - 7, linear=linear), w, rtol=1e-6, atol=1e-9)
    for unit in (1e-25, 1e25):  # squares of these are 0 and infinite in float32
        y = jnp.asarray(unit * Y, jnp.float32)
        small = share_weight(y, jnp.asarray(P, jnp.float32), 0.5, linear=linear)
        np.testing.assert_allclose(small, w, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found(1.0, linear=linear), 1, rtol=1e-12)
    np.testing.assert_allclose(found(0.2, np.full(9, 3.3), linear=linear), 1, rtol=1e-12)
    assert np.all(np.diff(w[np.argsort(Y)]) >= 0) and w[Y.argmax()] > 1
    # no weights of two rows of equal y have a smaller share than both together
    y = np.where(np.arange(9) < 2, 5.0, Y - 100)
    cold = found(1e-3, y, linear=linear)
    assert effective(cold) == pytest.approx(P[:2].sum(), rel=1e-2)


def test_normal_advantages_have_the_share_of_the_formula():
    """e^(-z^2) for e^(z u): 20,000 rows, whose share is off by less than 0.01 at 0.8."""
    y = np.random.default_rng(1).normal(size=20_000)
    w = found(0.8, y, np.full(y.size, 1 / y.size))
    slope = np.polyfit(y, np.log(w), 1)[0]
    assert np.exp(-(slope**2)) == pytest.approx(0.8, abs=0.01)


def rows_ahead(data, steps):
    nets = networks(OBS, BOX, widths=(4,), activation="relu")
    return Reader(nets.encode, nets.unit, jnp.zeros(3), jnp.ones(3)).ahead(
        jax.random.key(0), data, None, steps
    )


@pytest.mark.parametrize("trace", [0.0, 0.7, 1.0])
def test_advantages_along_episodes_are_those_of_whole_episodes(trace):
    """`rollout.gae` sums to the end of an episode; eight rows ahead are all that episodes here have."""
    data = dataset(BOX)
    v, next_v = RNG.normal(size=24), RNG.normal(size=24)
    inner = ~np.asarray(data.done)
    v[1:][inner[:-1]] = next_v[:-1][inner[:-1]]
    ahead = rows_ahead(data, 8)
    index = np.minimum(np.arange(24)[:, None] + np.arange(8), 23)
    mine = lambda_advantage(
        jnp.asarray(v), jnp.asarray(next_v)[index], ahead.reward, ahead.not_done, ahead.inside, 0.9, trace
    )
    discount = 0.9 * (1 - np.asarray(data.terminated, np.float64))
    column = (np.asarray(data.reward), v, next_v, discount, np.asarray(data.done))
    whole = gae(*(jnp.asarray(x)[:, None] for x in column), trace)[:, 0]
    np.testing.assert_allclose(mine, whole, rtol=1e-4, atol=1e-5)


def test_rows_ahead_stay_in_their_episode():
    data = dataset(BOX)
    ahead = rows_ahead(data, 3)
    inside = np.ones((24, 3))
    inside[[7, 15, 23], 1:] = 0
    inside[[6, 14, 22], 2] = 0
    np.testing.assert_array_equal(ahead.inside, inside)
    np.testing.assert_allclose(ahead.next_x[4, 2], data.next_obs[6], rtol=1e-6)
    np.testing.assert_allclose(ahead.reward[4], data.reward[4:7], rtol=1e-6)
    assert float(ahead.not_done[13, 2]) == 0 and float(ahead.not_done[12, 2]) == 1


def test_rows_ahead_begin_with_the_rows_that_are_read():
    """Drawn with a mask too."""
    nets = networks(OBS, BOX, widths=(4,), activation="relu")
    reader, key = Reader(nets.encode, nets.unit, jnp.zeros(3), jnp.ones(3)), jax.random.key(3)
    for data in (dataset(BOX), dataset(BOX).replace(mask=jnp.arange(24) >= 8)):
        batch = reader.read(key, data, 16, rewards=True)
        ahead = reader.ahead(key, data, 16, 2)
        np.testing.assert_array_equal(ahead.reward[:, 0], batch.reward)
        np.testing.assert_array_equal(ahead.next_x[:, 0], batch.next_x)


@pytest.fixture(scope="module")
def trained():
    """XQL, SQL and ODICE for 60 updates: share 1, share 0.6, and the published weights at temperature 0."""
    data, ends = dataset(BOX), {}
    for name, weighting in (("XQL", "share"), ("XQL", "published"), ("ODICE", "share")):
        names, cold = (("XQL", "SQL"), {"awr": 0.0}) if name == "XQL" else ((name,), {})
        config = forms.config(*names, batch_size=16, widths=(), weighting=weighting, steps=3)
        hypers = [forms.hyper(config, name, share=share, **cold) for share in (1.0, 0.6)]
        if name == "XQL":
            hypers.append(forms.hyper(config, "SQL", share=0.6))
        keys = jnp.broadcast_to(jax.random.key(1), (len(hypers),))
        algorithm = forms.algorithm(config, OBS, BOX)
        ends[name, weighting] = scan(algorithm, hypers, Data(data, None, initial(data)), 60, keys)[0]
    return ends


def test_share_one_is_cloning(trained):
    """The policy of published weights at temperature 0, on the same batches."""
    (ours, _), (clone, _) = trained["XQL", "share"], trained["XQL", "published"]
    for a, b in zip(*(floats(s.agent.params["actor"]) for s in (ours, clone)), strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-5)


def test_every_update_has_the_share_that_was_asked_for(trained):
    (_, implicit), (_, odice) = trained["XQL", "share"], trained["ODICE", "share"]
    np.testing.assert_allclose(implicit["ess"][1:], 0.6, atol=2e-3)
    np.testing.assert_allclose(odice["ess"][1], 0.6, atol=2e-3)
    np.testing.assert_allclose(odice["ess"][0], 1.0, atol=1e-5)
    assert float(np.std(trained["XQL", "published"][1]["ess"][2])) > 1e-3


def test_weights_are_linear_where_the_policy_is_the_ratio_of_chi2():
    assert [n for n in METHODS if METHODS[n].file == "implicit" and is_linear(method(n))] == ["SQL"]
    assert is_linear(method("ODICE")) and is_linear(method("f-DVL chi2"), "dual")
    assert not is_linear(method("EQL")) and not is_linear(method("f-DVL tv"))


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            lambda: forms.config("f-DVL tv", weighting="share", extraction="dual"),
            "share has no dual weights of f-DVL tv; use extraction awr",
        ),
        (lambda: forms.config("SMODICE", weighting="share"), "SMODICE learns its rewards along with V"),
        (
            lambda: forms.config("IQL", weighting="fair"),
            "Config.weighting: must be one of 'published', 'share'",
        ),
        (lambda: forms.config("IQL", steps=0), "Config.steps: must be >= 1, got 0"),
        (lambda: forms.hyper(forms.config("IQL"), share=0.0), r"Hyper.share: must be in \(0, 1\], got 0.0"),
        (lambda: forms.hyper(forms.config("ODICE"), trace=1.5), r"Hyper.trace: must be in \[0, 1\], got 1.5"),
    ],
)
def test_refusals_name_the_field(made, sentence):
    with pytest.raises(UsageError, match=sentence):
        made()


def test_four_devices_take_the_steps_of_one():
    """Shares, means and rows ahead are those of the whole batch."""
    check_data_parallel("SQL", BOX, weighting="share", steps=3)
