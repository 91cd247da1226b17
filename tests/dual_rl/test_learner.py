"""The learner on small datasets: what it reads, what it refuses, targets, populations, what it logs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dual_tables import BOX, KEYS, OBS, dataset

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.tree import tree_stack, tree_take
from jaxrl.dual_rl import learner
from jaxrl.dual_rl.batches import Data, Reader, initial
from jaxrl.dual_rl.dashboard import WINDOW, dashboard, drift
from jaxrl.dual_rl.learner import Config, hyper
from jaxrl.dual_rl.methods import METHODS

SMALL = {"batch_size": 8, "widths": ()}


def scan(algorithm, hypers, data, updates, keys):
    """States and metrics `[B, ...]` of a population after `updates` updates."""

    @jax.jit
    def run(keys, hypers, data):
        def one(key, hyper):
            state = algorithm.init(key, hyper, data)
            return jax.lax.scan(lambda s, _: algorithm.step(s, hyper, data), state, None, length=updates)

        return jax.vmap(one)(keys, hypers)

    return run(keys, tree_stack([jax.tree.map(jnp.asarray, h) for h in hypers]), data)


def numbers(tree):
    return [np.asarray(x) for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]


# --- rewards ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ReCOIL released", "ReCOIL-Q", "IQ-Learn", "SMODICE"])
def test_imitation_never_reads_rewards(name):
    config = Config(methods=(name,), **SMALL)
    algorithm = learner.make(config, OBS, KEYS)
    reference, expert = dataset(KEYS), dataset(KEYS, 1)
    data = Data(reference, expert, initial(reference))
    blind = jax.tree.map(lambda x: x, data).replace(
        reference=reference.replace(reward=jnp.full_like(reference.reward, jnp.nan)),
        expert=expert.replace(reward=jnp.full_like(expert.reward, jnp.nan)),
        start=data.start.replace(reward=jnp.full_like(data.start.reward, jnp.nan)),
    )
    step = jax.jit(lambda state, data: algorithm.step(state, hyper(config), data))
    start = jax.jit(algorithm.init)(jax.random.key(0), hyper(config), data)
    (state, metrics), (hidden, _) = step(start, data), step(start, blind)
    for a, b in zip(numbers(state), numbers(hidden), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(np.isfinite(x).all() for x in numbers(metrics))


def test_offline_rl_reads_rewards():
    config = Config(methods=("IQL",), **SMALL)
    algorithm, data = learner.make(config, OBS, KEYS), Data(dataset(KEYS))
    blind = Data(data.reference.replace(reward=jnp.full_like(data.reference.reward, jnp.nan)))
    step = jax.jit(lambda state, data: algorithm.step(state, hyper(config), data)[1]["q_loss"])
    start = jax.jit(algorithm.init)(jax.random.key(0), hyper(config), data)
    assert np.isfinite(step(start, data)) and np.isnan(step(start, blind))


# --- one update, in the order V, policy, Q, targets ------------------------------------------------------


@pytest.fixture(scope="module")
def one_update():
    """IQL before and after one update on all rows of a small table, in numbers that numpy can follow."""
    config = Config(methods=("IQL",), batch_size=None, widths=())
    numbers = hyper(config, gamma=0.9, tau=0.25, lr_value=0.1, lr_actor=0.1, parameter=0.7, reward_scale=0.5)
    data = Data(dataset(KEYS))
    algorithm = learner.make(config, OBS, KEYS)
    before = jax.jit(algorithm.init)(jax.random.key(0), numbers, data)
    after, metrics = jax.jit(algorithm.step)(before, numbers, data)
    return before, after, metrics, data.reference


def linear(params, x):
    layer = params["Dense_0"]
    kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
    return np.einsum("nk,...km->...nm", x, kernel) + bias[..., None, :]


def test_one_update_by_hand(one_update):
    before, after, metrics, rows = one_update
    obs, action, reward = (np.asarray(x, np.float64) for x in (rows.obs, rows.action, rows.reward))
    mean, deviation = obs.mean(0), obs.std(0)
    x, next_x = (obs - mean) / deviation, (np.asarray(rows.next_obs) - mean) / deviation
    pick = np.eye(3)[action.astype(int)]
    q = (linear(before.learner.target["q"], x) * pick).sum(-1).min(0)
    y = q - linear(before.learner.params["v"], x)[:, 0]
    loss = np.where(y < 0, 0.3, 0.7) * y**2
    assert float(metrics["v_loss"]) == pytest.approx(loss.mean(), rel=1e-4)
    # Adam's first step is the sign of the gradient times the rate
    grad = (np.where(y < 0, 0.3, 0.7) * -2 * y)[:, None] * x
    moved = np.asarray(after.learner.params["v"]["Dense_0"]["kernel"])[:, 0]
    moved = moved - np.asarray(before.learner.params["v"]["Dense_0"]["kernel"])[:, 0]
    np.testing.assert_allclose(moved, -0.1 * np.sign(grad.mean(0)), rtol=1e-3)
    # the policy and Q see the new V; the target of Q stops at terminations, not at time limits
    new_v = linear(after.learner.params["v"], x)[:, 0]
    weight = np.minimum(np.exp(3 * (q - new_v)), 100)
    assert float(metrics["ess"]) == pytest.approx(weight.sum() ** 2 / (24 * (weight**2).sum()), rel=1e-3)
    goal = 0.5 * reward + 0.9 * ~np.asarray(rows.terminated) * linear(after.learner.params["v"], next_x)[:, 0]
    error = np.abs((linear(before.learner.params["q"], x) * pick).sum(-1) - goal)
    assert float(metrics["q_loss"]) == pytest.approx((error**2 / 2).mean(1).sum(), rel=1e-4)
    assert int(rows.truncated.sum()) == 2 and int(rows.terminated.sum()) == 1
    for old, new, slow in zip(
        *(numbers(x) for x in (before.learner.target["q"], after.learner.params["q"])),
        numbers(after.learner.target["q"]),
        strict=True,
    ):
        np.testing.assert_allclose(slow, old + 0.25 * (new - old), atol=1e-6)


# --- populations -----------------------------------------------------------------------------------------

MANY = ("f-DVL chi2", "f-DVL tv", "XQL", "IQL")


@pytest.fixture(scope="module")
def population():
    """Four methods as one program, 200 updates, and the same again."""
    config = Config(methods=MANY, **SMALL)
    algorithm, data = learner.make(config, OBS, BOX), Data(dataset(BOX))
    hypers = [hyper(config, name) for name in MANY]
    keys = jax.random.split(jax.random.key(1), 4)
    return config, algorithm, data, keys, [scan(algorithm, hypers, data, 200, keys) for _ in range(2)]


def test_check_l5_the_same_seed_gives_the_same_bits(population):
    first, again = population[-1]
    for a, b in zip(numbers(first), numbers(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_check_l6_members_of_a_population_are_single_runs(population):
    """And a row chosen by `which` is the program of that row alone."""
    _, _, data, keys, ((states, _), _) = population
    alone = Config(methods=MANY[2:3], **SMALL)
    single, _ = scan(learner.make(alone, OBS, BOX), [hyper(alone)], data, 200, keys[2:3])
    for a, b in zip(numbers(single.learner.params), numbers(states.learner.params), strict=True):
        np.testing.assert_allclose(a[0], b[2], rtol=1e-4, atol=1e-4 * np.abs(b[2]).max())


def test_policies_clip_their_mean_and_know_the_range(population):
    config, algorithm, _, _, ((states, _), _) = population
    policy = algorithm.act(tree_take(states, 0), hyper(config), True)
    actions = jax.vmap(lambda x: policy.act(jax.random.key(0), x, ())[0])(
        100 * jax.random.normal(jax.random.key(0), (64, 3))
    )
    assert np.abs(actions).max() <= 2 and np.abs(actions).max() > 1


# --- the dashboard ---------------------------------------------------------------------------------------


def test_dashboard_counts_branches_and_the_effective_sample():
    y = jnp.array([-5.0, -3.0, 0.5, 9.0])
    found = dashboard(y, y / 2, jnp.array([0.0, 0.0, 1.0, 3.0]), jnp.full(4, 0.25), 4.0, 3.0)
    expected = {"positive": 0.5, "below_2": 0.5, "below_4": 0.25, "at_clip": 0.25, "at_cap": 0.25}
    assert {k: float(found[k]) for k in expected} == expected
    assert float(found["residual"]) == pytest.approx(0.375) and float(found["ess"]) == pytest.approx(16 / 40)
    assert float(dashboard(y, y, jnp.zeros(4), jnp.full(4, 0.25), 4.0, 3.0)["ess"]) == 0


def test_drift_is_measured_once_per_window():
    move = jax.jit(
        lambda past, updates: drift(lambda p: p * jnp.ones(2), jnp.full(2, 0.5), 3.0, past, updates)
    )
    past, early = move(jnp.float32(1.0), jnp.int32(WINDOW - 2))
    assert float(past) == 1 and float(early.count) == 0 == float(early.total)
    past, due = move(jnp.float32(1.0), jnp.int32(WINDOW - 1))
    assert float(past) == 3 and float(due.total / due.count) == 2


# --- data ------------------------------------------------------------------------------------------------


def test_initial_rows_and_features():
    data = dataset(BOX)
    first = initial(data)
    np.testing.assert_array_equal(first.obs, np.asarray(data.obs)[[0, 8, 16]])
    masked = data.replace(mask=jnp.arange(24) >= 8)
    np.testing.assert_array_equal(initial(masked).obs, np.asarray(data.obs)[[8, 16]])
    nets = learner.networks(OBS, BOX, widths=(4,), activation="relu", squash=False)
    reader = Reader(nets.encode, nets.unit, jnp.ones(3), jnp.full(3, 2.0))
    rows = reader.read(jax.random.key(0), masked, None, rewards=True)
    np.testing.assert_allclose(rows.x, (np.asarray(data.obs) - 1) / 2, rtol=1e-6)
    np.testing.assert_allclose(rows.mass, np.where(np.arange(24) < 8, 0, 1 / 16), rtol=1e-6)
    np.testing.assert_array_equal(rows.going, 1.0 - np.asarray(data.terminated))
    np.testing.assert_allclose(rows.a, np.asarray(data.action) / 2, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(nets.action)(rows.a), data.action, rtol=1e-6)
    edge = nets.unit(jnp.array([2.0]))
    assert 0.9999 < float(edge[0]) < 1  # the log-probability of a squashed action is finite there


# --- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda: Config(methods=("IQ",)), "did you mean 'IQL'"),
        (lambda: Config(methods=()), "name at least one"),
        (lambda: Config(methods=("IQL", "ODICE")), "differ in more than their maximiser"),
        (lambda: Config(methods=("OptiDICE", "OptiDICE")), "differ in more than"),
        (lambda: Config(methods=("ReCOIL",)), "use ReCOIL released"),
        (lambda: Config(batch_size=0), "Config.batch_size"),
        (lambda: Config(widths=(0,)), "Config.widths"),
        (lambda: Config(extraction="softmax"), "Config.extraction"),
        (lambda: Config(methods=("IQL",), extraction="dual"), "needs? a divergence"),
        (lambda: Config(methods=("IQ-Learn",), extraction="awr"), "maximises over its policy"),
        (lambda: hyper(Config(), "XQL"), "none of Config.methods"),
        (lambda: hyper(Config(), parameter=1.0), "at 1 nothing pulls V down"),
        (lambda: hyper(Config(methods=("f-DVL tv",)), parameter=0.5), "must be > 1/2 for tv"),
        (lambda: hyper(Config(methods=("IQL",)), parameter=1.5), "level of IQL"),
        (lambda: hyper(Config(methods=("XQL",)), parameter=0.0), "temperature of XQL"),
        (lambda: hyper(Config(methods=("ReCOIL-Q",)), parameter=1.0), "beta of ReCOIL-Q"),
        (lambda: learner.make(Config(), OBS, Box(-np.inf, 1.0, (1,))), "finite bounds"),
        (
            lambda: learner.make(Config(), OBS, (Discrete(2), Discrete(2))),
            "must be Discrete or a bounded Box",
        ),
        (lambda: learner.make(Config(activation="sinus"), OBS, BOX), "activation"),
    ],
)
def test_refusals_name_the_field(made, sentence):
    with pytest.raises(UsageError, match=sentence):
        made()


@pytest.mark.parametrize(
    ("name", "missing"), [("IQ-Learn", "expert"), ("OptiDICE", "start"), ("SMODICE", "expert")]
)
def test_a_missing_dataset_is_named(name, missing):
    config = Config(methods=(name,), **SMALL)
    algorithm = learner.make(config, OBS, BOX)
    with pytest.raises(UsageError, match=f"Data.{missing}: {name} needs it"):
        state = algorithm.init(jax.random.key(0), hyper(config), Data(dataset(BOX)))
        algorithm.step(state, hyper(config), Data(dataset(BOX)))


def test_extraction_replaces_the_rows():
    assert [row.extraction for row in Config(methods=("XQL",), extraction="dual").rows] == ["dual"]
    assert (
        dataclasses.replace(METHODS["XQL"], extraction="dual")
        == Config(methods=("XQL",), extraction="dual").rows[0]
    )


def test_values_are_those_of_the_v_network(population):
    config, _, data, _, ((states, _), _) = population
    state, obs = tree_take(states, 0), data.reference.obs
    mean, deviation = np.asarray(obs).mean(0), np.asarray(obs).std(0)
    expected = linear(state.learner.params["v"], (np.asarray(obs) - mean) / deviation)[:, 0]
    np.testing.assert_allclose(learner.value(config, OBS, BOX, state, obs), expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(UsageError, match="IQ-Learn has no V"):
        learner.value(Config(methods=("IQ-Learn",), **SMALL), OBS, BOX, state, obs)
