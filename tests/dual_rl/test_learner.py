"""The learner on small datasets: what it reads, what it refuses, targets, populations, what it logs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.tree import tree_stack, tree_take
from jaxrl.dual_rl import learner
from jaxrl.dual_rl.batches import NOISE_CUT, Data, Reader, Rows, initial, smoothed
from jaxrl.dual_rl.dashboard import WINDOW, dashboard, drift, remaining, review
from jaxrl.dual_rl.learner import Config, hyper
from jaxrl.dual_rl.methods import METHODS
from tests.dual_rl.dual_tables import BOX, KEYS, OBS, any_state, dataset, quick

SMALL = {"batch_size": 8, "widths": ()}


def scan(algorithm, hypers, data, updates, keys, times=1):
    """States and metrics `[B, ...]` of a population after `updates` updates, as often as asked."""

    @quick
    def run(keys, hypers, data):
        def one(key, hyper):
            state = algorithm.init(key, hyper, data)
            return jax.lax.scan(lambda s, _: algorithm.step(s, hyper, data), state, None, length=updates)

        return jax.vmap(one)(keys, hypers)

    hypers = tree_stack([jax.tree.map(jnp.asarray, h) for h in hypers])
    return [run(keys, hypers, data) for _ in range(times)]


def numbers(tree):
    return [np.asarray(x) for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]


# --- rewards ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ReCOIL released", "ReCOIL-Q", "IQ-Learn", "SMODICE"])
def test_imitation_never_reads_rewards(name):
    config = Config(methods=(name,), **SMALL)
    algorithm = learner.make(config, OBS, KEYS)
    reference, expert = dataset(KEYS), dataset(KEYS, 1)
    data = Data(reference, expert, initial(reference))
    step = quick(lambda state, data: algorithm.step(state, hyper(config), data))
    start = any_state(algorithm, hyper(config), data)
    state, metrics = step(start, data)
    hidden, _ = step(start, Data(*(without_rewards(d) for d in (reference, expert, data.start))))
    for a, b in zip(numbers(state), numbers(hidden), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(np.isfinite(x).all() for x in numbers(metrics))


def without_rewards(data):
    return data.replace(reward=jnp.full_like(data.reward, jnp.nan))


# --- one update, in the order V, policy, Q, targets ------------------------------------------------------


@pytest.fixture(scope="module")
def one_update():
    """IQL before and after one update on all rows of a small table, in numbers that numpy can follow."""
    config = Config(methods=("IQL",), batch_size=None, widths=())
    numbers = hyper(config, gamma=0.9, tau=0.25, lr_value=0.1, lr_actor=0.1, parameter=0.7, reward_scale=0.5)
    data = Data(dataset(KEYS))
    algorithm = learner.make(config, OBS, KEYS)
    before = quick(algorithm.init)(jax.random.key(0), numbers, data)
    step = quick(algorithm.step)
    after, metrics = step(before, numbers, data)
    _, blind = step(before, numbers, Data(without_rewards(data.reference)))
    return before, after, metrics, data.reference, blind


def linear(params, x):
    layer = params["Dense_0"]
    kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
    return np.einsum("nk,...km->...nm", x, kernel) + bias[..., None, :]


def test_one_update_by_hand(one_update):
    before, after, metrics, rows, _ = one_update
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


def test_offline_rl_reads_rewards(one_update):
    *_, metrics, _, blind = one_update
    assert np.isfinite(metrics["q_loss"]) and np.isnan(blind["q_loss"])


# --- populations -----------------------------------------------------------------------------------------

MANY = ("f-DVL chi2", "f-DVL tv", "XQL", "IQL")


@pytest.fixture(scope="module")
def population():
    """Four methods as one program, 200 updates, and the same again."""
    config = Config(methods=MANY, **SMALL)
    algorithm, data = learner.make(config, OBS, BOX), Data(dataset(BOX))
    hypers = [hyper(config, name) for name in MANY]
    keys = jax.random.split(jax.random.key(1), 4)
    return config, algorithm, data, keys, scan(algorithm, hypers, data, 200, keys, times=2)


def test_check_l5_the_same_seed_gives_the_same_bits(population):
    first, again = population[-1]
    for a, b in zip(numbers(first), numbers(again), strict=True):
        np.testing.assert_array_equal(a, b)


def close(found, wanted):
    """To 1e-4 of the largest number of each array."""
    for a, b in zip(numbers(found), numbers(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


def test_check_l6_members_of_a_population_are_single_runs():
    """Four seeds as one batch against each by itself, without a batch axis."""
    config = Config(batch_size=8, widths=(8,))
    algorithm, data, numbers_of = learner.make(config, OBS, BOX), Data(dataset(BOX)), hyper(config)
    keys = jax.random.split(jax.random.key(2), 4)

    @quick
    def single(key, data):
        state = algorithm.init(key, numbers_of, data)
        return jax.lax.fori_loop(0, 200, lambda _, s: algorithm.step(s, numbers_of, data)[0], state)

    ((states, _),) = scan(algorithm, [numbers_of] * 4, data, 200, keys)
    for i, key in enumerate(keys):
        close(single(key, data).learner.params, tree_take(states.learner.params, i))


def test_a_row_chosen_by_which_is_the_program_of_that_row_alone(population):
    _, _, data, keys, ((states, _), _) = population
    alone = Config(methods=MANY[2:3], **SMALL)
    ((single, _),) = scan(learner.make(alone, OBS, BOX), [hyper(alone)], data, 200, keys[2:3])
    close(tree_take(single.learner.params, 0), tree_take(states.learner.params, 2))


def test_policies_clip_their_mean_and_know_the_range(population):
    config, algorithm, _, _, ((states, _), _) = population

    @quick
    def greedy(states, x):
        policy = algorithm.act(tree_take(states, 0), hyper(config), True)
        return jax.vmap(lambda x: policy.act(jax.random.key(0), x, ())[0])(x)

    actions = greedy(states, 100 * np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32))
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
    values, mass = jnp.array([1.0, 3.0]), jnp.full(2, 0.5)
    move = jax.jit(lambda past, updates: drift(lambda p: p * values, mass, 3.0, past, updates))
    past, early = move(jnp.float32(1.0), jnp.int32(WINDOW - 2))
    assert float(past) == 1 and all(float(m.count) == 0 == float(m.total) for m in early.values())
    past, due = move(jnp.float32(1.0), jnp.int32(WINDOW - 1))
    found = {name: float(m.total / m.count) for name, m in due.items()}
    # from 1, 3 to 3, 9, which have a standard deviation of 3
    assert float(past) == 3 and found == {"drift": 4.0, "unsettled": pytest.approx(4 / 3)}


@pytest.mark.parametrize("rate", [5e-5, 1e-3])
def test_what_remains_of_an_exponential_decay_is_known_from_one_window(rate):
    """An error of 1 that falls like e^(-rate t); halved, what is left is known from its fall."""
    t = 4 * WINDOW
    fall = np.exp(-rate * (t - WINDOW)) - np.exp(-rate * t)
    assert float(remaining(0.5 * fall, t, rate)) == pytest.approx(0.5 * np.exp(-rate * t), rel=1e-4)
    # noise looks like movement, but after many time constants no error of the start is left
    assert float(remaining(0.1, 20 / rate, rate)) < 1e-8
    # nor where there is nothing to wait for
    assert float(remaining(0.1, t, jnp.inf)) == 0 == float(remaining(0.0, t, 0.0))


def test_review_warns_where_values_have_not_settled():
    moving = {"drift": np.array([np.nan, 9.0, np.nan]), "unsettled": np.array([np.nan, 0.5, np.nan])}
    assert review(moving).startswith("not converged: values moved by 9 in the last 1000 updates")
    assert "50 % of their spread" in review(moving)
    assert review(moving | {"unsettled": np.array([0.5, 0.01])}) is None
    assert review({"drift": np.full(2, np.nan), "unsettled": np.full(2, np.nan)}) is None
    assert learner.make(Config(**SMALL), OBS, BOX).review(moving) == review(moving)


# --- options ---------------------------------------------------------------------------------------------


def batch_of_rows(n=400, d=2):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(n, 3)), rng.uniform(-1, 1, (n, d)), *rng.normal(size=(2, n)), np.ones(n)]
    arrays[3] = np.exp(arrays[3]) / np.exp(arrays[3]).sum()
    x, a, reward, mass, going = (jnp.asarray(v, jnp.float32) for v in arrays)
    return Rows(x, a, reward, x, going, mass)


def test_copies_keep_the_rows_and_draw_uniform_actions():
    rows = batch_of_rows()
    found = quick(lambda rows: smoothed(rows, jax.random.key(0), 3, None))(rows)
    for i in range(4):
        part = jax.tree.map(lambda v: v[400 * i : 400 * (i + 1)], found)  # noqa: B023
        np.testing.assert_array_equal(part.x, rows.x)
        np.testing.assert_allclose(part.mass, rows.mass / 4)
    np.testing.assert_array_equal(found.a[:400], rows.a)
    fresh = np.sort(np.asarray(found.a[400:]).ravel())
    # Kolmogorov-Smirnov, false alarms once in 1e6 seeds
    assert np.abs(fresh - np.linspace(-1, 1, 2400)).max() / 2 < np.sqrt(np.log(2e6) / 4800)
    assert len(np.unique(fresh)) > 2300


def test_noise_is_cut_and_stays_in_the_range():
    rows = batch_of_rows()
    noisy = quick(lambda rows, deviation: smoothed(rows, jax.random.key(1), 1, deviation).a)
    moved = np.asarray(noisy(rows, 0.1)[:400]) - np.asarray(rows.a)
    inside = np.abs(np.asarray(rows.a)) < 0.5
    assert moved[inside].std() == pytest.approx(0.1, rel=0.2) and abs(moved[inside].mean()) < 0.03
    wild = np.asarray(noisy(rows, 50.0))
    assert np.abs(wild).max() <= 1
    assert np.abs(wild[:400] - np.asarray(rows.a)).max() == pytest.approx(NOISE_CUT, rel=1e-5)


def test_the_value_loss_sees_noise_and_copies_and_policy_weights_do_not():
    """Against numpy on the rows that the key gives."""
    config = Config(methods=("IQL",), batch_size=None, widths=(), copies=2, noisy=True)
    data, algorithm = Data(dataset(BOX)), learner.make(config, OBS, BOX)
    start_rates = {"lr_value": 0.0, "lr_actor": 0.0}
    given = hyper(config, gamma=0.9, noise=0.3, awr=0.5, **start_rates)
    state = any_state(algorithm, given, data)
    _, metrics = quick(algorithm.step)(state, given, data)
    nets = learner.networks(OBS, BOX, widths=(), activation="relu", squash=False)

    @quick
    def seen(state, reference):
        rows = Reader(nets.encode, nets.unit, *state.scale).read(state.key, reference, None, rewards=True)
        return rows, smoothed(rows, jax.random.split(stream(state.key, 0))[1], 2, 0.3)

    def residual(rows):
        pair = np.concatenate([rows.x, rows.a], -1)
        q = linear(state.learner.target["q"], pair)[..., 0].min(0)
        return q - linear(state.learner.params["v"], np.asarray(rows.x))[:, 0]

    at_rows, at_near = (residual(rows) for rows in seen(state, data.reference))
    loss = np.where(at_near < 0, 0.1, 0.9) * at_near**2
    assert float(metrics["v_loss"]) == pytest.approx(loss.mean(), rel=1e-4)
    assert float(metrics["residual"]) == pytest.approx(at_rows.mean(), rel=1e-4)
    weight = np.minimum(np.exp(0.5 * at_rows), 100)
    assert float(metrics["ess"]) == pytest.approx(weight.mean() ** 2 / (weight**2).mean(), rel=1e-4)


def test_layer_norm_is_in_v_alone_and_does_what_it_says():
    config = Config(methods=("IQL",), batch_size=8, widths=(6, 5), layer_norm=True)
    data, algorithm = Data(dataset(BOX)), learner.make(config, OBS, BOX)
    state = any_state(algorithm, hyper(config), data)
    norms = [p for p in state.learner.params if "LayerNorm_0" in state.learner.params[p]]
    assert norms == ["v"]
    v = jax.tree.map(lambda x: np.asarray(x, np.float64), state.learner.params["v"])
    x = (np.asarray(data.reference.obs) - np.asarray(state.scale[0])) / np.asarray(state.scale[1])
    for i in range(2):
        x = x @ v[f"Dense_{i}"]["kernel"] + v[f"Dense_{i}"]["bias"]
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6)
        x = np.maximum(x * v[f"LayerNorm_{i}"]["scale"] + v[f"LayerNorm_{i}"]["bias"], 0)
    wanted = (x @ v["Dense_2"]["kernel"] + v["Dense_2"]["bias"])[:, 0]
    found = quick(lambda state, obs: learner.value(config, OBS, BOX, state, obs))(state, data.reference.obs)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


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
        (lambda: Config(methods=("IQ-Learn",), layer_norm=True), "IQ-Learn has no V"),
        (lambda: Config(widths=(), layer_norm=True), "no hidden layer"),
        (lambda: Config(copies=-1), "Config.copies: must be >= 0"),
        (lambda: Config(methods=("OptiDICE",), copies=1), "Config.copies: OptiDICE has no value loss"),
        (lambda: Config(methods=("AlgaeDICE",), noisy=True), "Config.noisy: AlgaeDICE has no value loss"),
        (lambda: learner.make(Config(copies=1), OBS, KEYS), "leave them out for Discrete"),
        (lambda: Config(methods=("ReCOIL released",), terminals="mask"), "one of target, masked, absorbing"),
        (lambda: Config(methods=("XQL",), terminals="masked"), "only ReCOIL released has"),
        (lambda: Config(methods=("IQL",), extraction="dual"), "needs? a divergence"),
        (lambda: Config(methods=("IQ-Learn",), extraction="awr"), "maximises over its policy"),
        (lambda: hyper(Config(), "XQL"), "none of Config.methods"),
        (lambda: hyper(Config(), parameter=1.0), "at 1 nothing pulls V down"),
        (lambda: hyper(Config(methods=("f-DVL tv",)), parameter=0.5), "must be > 1/2 for tv"),
        (lambda: hyper(Config(methods=("IQL",)), parameter=1.5), "level of IQL"),
        (lambda: hyper(Config(methods=("XQL",)), parameter=0.0), "temperature of XQL"),
        (lambda: hyper(Config(methods=("ReCOIL-Q",)), parameter=1.0), "beta of ReCOIL-Q"),
        (lambda: hyper(Config(), lambda_=0.5), "Hyper.lambda_: no such number; did you mean"),
        (
            lambda: hyper(Config(), parameter=np.ones(2)),
            r"Hyper.parameter: must be one number, got shape \(2,\)",
        ),
        (lambda: hyper(Config(), gamma=1.0), r"Hyper.gamma: must lie in \[0, 1\), got 1.0"),
        (lambda: hyper(Config(), tau=-1), r"Hyper.tau: must lie in \(0, 1\]"),
        (lambda: hyper(Config(), awr=np.nan), "Hyper.awr: must be >= 0 and finite"),
        (lambda: hyper(Config(), huber=-1), "Hyper.huber: must be > 0"),
        (lambda: hyper(Config(), entropy=-1), "Hyper.entropy: must be >= 0"),
        (lambda: Config(methods=("CQL",), copies=1), "Config.copies: CQL has no value loss"),
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


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reward": jnp.zeros((24, 2))}, r"Data.reference.reward: must be one per row, got shape \(24, 2\)"),
        ({"obs": jnp.zeros((24, 4))}, "Data.reference.obs: rows of"),
        ({"action": jnp.zeros(24, jnp.int32)}, "Data.reference.action: rows of"),
        ({"action": jnp.zeros((24, 2))}, "Data.reference.action: rows of"),
    ],
)
def test_rows_of_other_spaces_are_named(change, sentence):
    algorithm, data = learner.make(Config(**SMALL), OBS, BOX), dataset(BOX).replace(**change)
    with pytest.raises(UsageError, match=sentence):
        jax.eval_shape(algorithm.init, jax.random.key(0), hyper(Config(**SMALL)), Data(data))


def test_weighed_rows_have_no_first_ones():
    weighed = dataset(BOX).replace(mask=jnp.full(24, 1 / 24))
    with pytest.raises(UsageError, match="initial: the rows are weighed"):
        initial(weighed)


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
    found = quick(lambda state, obs: learner.value(config, OBS, BOX, state, obs))(state, obs)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    with pytest.raises(UsageError, match="IQ-Learn has no V"):
        learner.value(Config(methods=("IQ-Learn",), **SMALL), OBS, BOX, state, obs)
