"""LPG against printed vectors, its resets, its invariances; REINFORCE against a loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import contains
from jaxrl.meta import targets
from jaxrl.meta.objective import MASKS, Time, Window, check_mask

PAPER = ("n/N", "ln N")
RAW = ("n", "N")


def filled(rule, amplitude=0.5, frequency=0.7):
    """Parameters by the fill rule of the printed vectors: leaf k, entry e is a sin(f (e + 1) + k)."""
    phi = jax.eval_shape(rule.init, jax.random.key(0))
    embed, cell = phi["embed"], phi["cell"]
    order = [
        *((embed[f"Dense_{i}"], part) for i in range(2) for part in ("kernel", "bias")),
        *((cell[gate], part) for gate in ("ir", "iz", "in") for part in ("kernel", "bias")),
        *((cell[gate], "kernel") for gate in ("hr", "hz", "hn")),
        (cell["hn"], "bias"),
        *((phi[head]["Dense_0"], part) for head in ("weight", "target") for part in ("kernel", "bias")),
    ]
    for k, (place, part) in enumerate(order):
        shape = place[part].shape
        e = np.arange(np.prod(shape))
        place[part] = jnp.asarray(amplitude * np.sin(frequency * (e + 1) + k), jnp.float32).reshape(shape)
    return phi


def column(*numbers):
    return jnp.asarray(numbers, jnp.float32)[:, None]


Y = jnp.asarray([(0.3, 0.7), (0.6, 0.4), (0.5, 0.5), (0.9, 0.1), (0.2, 0.8)], jnp.float32)[:, None]
WINDOW = Window(
    reward=column(0.5, -1, 0, 2),
    done=column(0, 1, 0, 0),
    cut=column(0, 1, 0, 0) > 0,
    prob=column(0.2, 0.9, 0.5, 0.05),
    y=Y[:4],
    y_next=Y[1:],
    gamma=jnp.asarray(0.99),
)
TIME = Time(jnp.asarray(30.0), jnp.asarray(100.0), MASKS["none"])


def small(inputs=(), **options):
    return targets.lpg(2, inputs=inputs, embedding=2, width=3, **options)


@pytest.mark.parametrize(
    ("inputs", "weights", "first"),
    [
        (
            (),
            (0.003982, -0.037585, 0.095816, 0.079208),
            (0.440531, 0.430627, 0.439474, 0.443943),
        ),
        (
            PAPER,
            (0.151810, 0.077977, 0.159637, 0.070235),
            (0.447241, 0.443887, 0.447449, 0.443535),
        ),
        (
            RAW,
            (0.004707, 0.004401, 0.004588, 0.004192),
            (0.440564, 0.440550, 0.440558, 0.440540),
        ),
    ],
    ids=["LPG", "TA-LPG", "raw"],
)
def test_lpg_targets_are_the_printed_ones(inputs, weights, first):
    rule = small(inputs)
    time = TIME._replace(mask=tuple(float(name in inputs) for name in ("n/N", "ln N", "N-n", "n", "N")))
    pihat, yhat = rule.apply(filled(rule), WINDOW, time)
    np.testing.assert_allclose(pihat[:, 0], weights, rtol=0, atol=2e-6)
    np.testing.assert_allclose(yhat[:, 0, 0], first, rtol=0, atol=2e-6)
    np.testing.assert_allclose(yhat.sum(-1), 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 203_946), ({"inputs": PAPER}, 205_482), ({"gamma_input": True}, 203_946 + 768)],
)
def test_numbers_of_parameters_are_the_published_ones(options, count):
    shapes = jax.eval_shape(targets.lpg(8, **options).init, jax.random.key(0))
    assert sum(np.prod(x.shape) for x in jax.tree.leaves(shapes)) == count


def test_network_without_biases_has_the_count_of_the_small_prototype():
    shapes = jax.eval_shape(targets.lpg(8, inputs=PAPER, width=32, bias=False).init, jax.random.key(0))
    assert sum(np.prod(x.shape) for x in jax.tree.leaves(shapes)) == 4304


def test_nothing_before_an_end_depends_on_what_comes_after_it():
    rule = small()
    phi = filled(rule)
    later = jnp.arange(4)[:, None] > 1
    changed = WINDOW._replace(
        reward=jnp.where(later, 7.0, WINDOW.reward),
        prob=jnp.where(later, 0.3, WINDOW.prob),
        y=jnp.where(later[..., None], WINDOW.y[..., ::-1], WINDOW.y),
        y_next=jnp.where(later[..., None] | (WINDOW.done > 0)[..., None], Y[:1], WINDOW.y_next),
    )
    before, after = (rule.apply(phi, w, TIME) for w in (WINDOW, changed))
    for x, y in zip(before, after, strict=True):
        np.testing.assert_array_equal(x[:2], y[:2])
        assert not np.array_equal(x[2:], y[2:])


def test_masked_inputs_leave_the_output_of_the_blind_network():
    aware, blind = small(("n/N", "ln N", "N-n", "n", "N")), small()
    phi = filled(aware)
    short = jax.tree.map(lambda x: x, phi)
    for gate in ("ir", "iz", "in"):
        short["cell"][gate]["kernel"] = phi["cell"][gate]["kernel"][:5]
    for x, y in zip(aware.apply(phi, WINDOW, TIME), blind.apply(short, WINDOW, TIME), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-7)


def test_discount_is_read_where_asked_for():
    rule = small(gamma_input=True)
    phi = filled(rule)
    a, b = (rule.apply(phi, WINDOW._replace(gamma=jnp.asarray(g)), TIME)[0] for g in (0.9, 0.99))
    assert not np.allclose(a, b, atol=1e-4)


def random_window(key, steps=6, workers=3):
    keys = jax.random.split(key, 5)
    y = jax.nn.softmax(jax.random.normal(keys[3], (2, steps, workers, 4)))
    cut = jax.random.bernoulli(keys[1], 0.3, (steps, workers))
    return Window(
        jax.random.normal(keys[0], (steps, workers)),
        cut.astype(jnp.float32),
        cut,
        jax.random.uniform(keys[2], (steps, workers)),
        y[0],
        y[1],
        jnp.asarray(0.9),
    )


def test_reinforce_targets_are_those_of_a_loop():
    window = random_window(jax.random.key(3))
    rule = targets.reinforce(inputs=PAPER)
    phi = jnp.asarray([0.3, -1.2, 0.4])
    pihat, yhat = rule.apply(phi, window, Time(jnp.asarray(5.0), jnp.asarray(20.0), MASKS["paper"]))
    reward, cut = np.asarray(window.reward, float), np.asarray(window.cut)
    returns = np.zeros_like(reward)
    for w in range(3):
        following = 0.0
        for t in range(5, -1, -1):
            following = returns[t, w] = reward[t, w] + 0.9 * following * (not cut[t, w])
    step = np.exp(0.3 - 1.2 * 5 / 20 + 0.4 * np.log(20))
    np.testing.assert_allclose(
        pihat, -step * (returns - returns.mean(1, keepdims=True)), rtol=2e-5, atol=1e-6
    )
    np.testing.assert_array_equal(yhat, window.y)


def test_reinforce_has_one_number_and_its_schedule_three():
    assert targets.reinforce().init(jax.random.key(0)).shape == (1,)
    assert targets.reinforce(inputs=PAPER).init(jax.random.key(0)).shape == (3,)


def test_inputs_out_of_order_and_unknown_ones_are_refused():
    with pytest.raises(UsageError, match="in the order"):
        targets.lpg(2, inputs=("ln N", "n/N"))
    with pytest.raises(UsageError, match="'log N' is none of n/N"):
        targets.reinforce(inputs=("log N",))
    with pytest.raises(UsageError, match="width: must be >= 1"):
        targets.lpg(2, width=0)


def test_masks_of_another_length_and_without_a_live_input_are_refused():
    with pytest.raises(UsageError, match=r"give one factor for each of n/N"):
        check_mask((1.0, 0.0), True)
    with pytest.raises(UsageError, match="not time-aware"):
        check_mask(MASKS["none"], True)


def test_answer_is_the_rule_on_a_window_of_one_step():
    rule = small(PAPER)
    phi, mask = filled(rule), jnp.asarray(MASKS["paper"])
    obs = {
        "reward": jnp.asarray(0.5),
        "done": jnp.asarray(0.0),
        "prob": jnp.asarray(0.2),
        "y": Y[0, 0],
        "y_next": Y[1, 0],
        "progress": jnp.asarray(0.3),
        "horizon": jnp.asarray(100.0),
    }
    assert contains(targets.reads(2), obs)
    found = targets.answer(rule)(phi, obs, mask)
    assert contains(targets.says(2), found)
    first = jax.tree.map(lambda x: x[:1] if x.ndim else x, WINDOW)
    pihat, yhat = rule.apply(phi, first, TIME._replace(mask=mask))
    np.testing.assert_allclose(found["weight"], pihat[0, 0], rtol=1e-5)
    np.testing.assert_allclose(found["target"], yhat[0, 0], rtol=1e-5)
