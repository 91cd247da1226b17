"""Greedy maximisers: equal selections, promised values, no item twice, gains that never rise."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.combinators import Sum, Truncated, stack_visits
from jaxrl.envs.sets.coverage import Coverage, CoverageParams
from jaxrl.envs.sets.facility_location import FacilityLocation
from jaxrl.envs.sets.features import FeatureBased, features
from jaxrl.envs.sets.log_det import LogDet, LogDetParams, kernel_params
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.sets.protocol import Visit, evaluate
from jaxrl.envs.sets.visits import Visits
from jaxrl.submodular.greedy import (
    _by_gains,
    greedy,
    greedy_bound,
    lazy_greedy,
    partition_bound,
    partition_greedy,
    sample_size,
    stochastic_greedy,
)

N, K, U, SEEDS = 60, 12, 25, 8
GROUND, KEY = jnp.arange(N), jax.random.key(0)


def facility(rng):
    return jnp.asarray(rng.random((N, U)), jnp.float32)


def feature(rng):
    return features(rng.random((N, 6)) ** 3)


def cover(rng):
    """Integer weights: ties are frequent and exact."""
    covers = rng.random((N, U)) < 0.15
    return CoverageParams(jnp.asarray(covers), jnp.asarray(rng.integers(1, 4, U), jnp.float32))


def design(rng):
    x = rng.random((N, 2))
    distance = ((x[:, None] - x[None]) ** 2).sum(-1)
    return LogDetParams(jnp.asarray(np.exp(-8 * distance), jnp.float32), jnp.asarray(0.1))


CASES = {
    "facility": (FacilityLocation(N, U), facility),
    "feature": (FeatureBased(N), feature),
    "coverage": (Coverage(N, U), cover),
    "log_det": (LogDet(N, K), design),
}


LOG = LogDet(10, 4)
WRAPPED = Sum((Truncated(LOG, 9.0), Coverage(10)))


@pytest.mark.parametrize("name", CASES)
def test_lazy_is_greedy_and_greedy_is_the_textbook(name):
    F, make = CASES[name]
    params = jax.tree.map(lambda *x: jnp.stack(x), *(make(np.random.default_rng(i)) for i in range(SEEDS)))

    @jax.jit
    def both(params):
        one = jax.vmap(lambda p: greedy(F, p, GROUND, K))(params)
        return one, jax.vmap(lambda p: lazy_greedy(F, p, GROUND, K))(params)

    plain, lazy = both(params)
    np.testing.assert_array_equal(plain.index, lazy.index)
    np.testing.assert_array_equal(plain.gain, lazy.gain)
    gain = np.asarray(plain.gain)
    assert np.all(np.diff(gain, axis=1) <= 1e-5 * gain[:, :1])
    assert all(len(set(row.tolist())) == K for row in np.asarray(plain.index))
    assert np.all(np.asarray(plain.evaluations) == N * K) and np.all(np.asarray(lazy.evaluations) >= N + K)
    # the item of the largest gain, by evaluating every set anew
    params, chosen = jax.tree.map(lambda x: x[0], params), np.asarray(plain.index[0])
    value = jax.jit(jax.vmap(partial(evaluate, F, params)))
    for t in (0, 1, 5, K - 1) if name in ("coverage", "facility") else ():
        sets = np.concatenate([np.tile(chosen[:t], (N, 1)), np.arange(N)[:, None]], axis=1)
        padded = np.repeat(sets[:, -1:], K, axis=1)  # a repeated item adds nothing
        padded[:, : t + 1] = sets
        scores = np.array(value(padded))
        scores[chosen[:t]] = -1
        assert scores.argmax() == chosen[t]


@pytest.mark.parametrize("wide", [False, True])
def test_ties_of_long_sums_are_those_of_greedy(wide):
    """Sums of 700 thirds round: single gains, summed in another order, chose otherwise for most seeds."""
    n, k = 150, 40
    F = FacilityLocation(n, 700)
    ground = jnp.arange(n, dtype=jnp.int32)
    both = jax.jit(lambda p: (greedy(F, p, ground, k), lazy_greedy(F, p, ground, k)))
    for seed in range(10):
        similarity = np.random.default_rng(seed).integers(0, 4, (n, 700)) / 3
        with jax.enable_x64(wide):
            plain, lazy = both(jnp.asarray(similarity, jnp.result_type(float)))
        np.testing.assert_array_equal(plain.index, lazy.index)
        # each choice is the best up to rounding, by sums in double precision
        best = np.zeros(700)
        for i in np.asarray(lazy.index):
            gain = np.maximum(similarity - best, 0).sum(1)
            assert gain[i] >= gain.max() - 1e-3
            best = np.maximum(best, similarity[i])
    assert int(lazy.evaluations) < n * k / 2


WAYS = {
    "greedy": greedy,
    "lazy": lazy_greedy,
    "stochastic": lambda *args: stochastic_greedy(*args, jax.random.key(0), 3),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("entries", [np.inf, -np.inf, np.nan])
def test_no_item_is_chosen_twice_whatever_the_gains_are(way, entries):
    """Infinite similarities, whose second gains are no numbers, and gains that are infinitely low."""
    F, ground = FacilityLocation(8), jnp.arange(8)
    if entries == -np.inf:
        F = Modular(8)
    params = jnp.full((8, 8) if isinstance(F, FacilityLocation) else 8, entries)
    found = WAYS[way](F, params, ground, 8)
    assert sorted(np.asarray(found.index).tolist()) == list(range(8))
    if way != "stochastic":
        assert np.asarray(found.index).tolist() == list(range(8))
    mixed = jnp.array([1.0, entries, 3.0, 2.0, entries, 0.0, 5.0, 4.0])
    found = np.asarray(WAYS[way](Modular(8), mixed, ground, 8).index)
    assert sorted(found.tolist()) == list(range(8))
    if way != "stochastic":
        numbers = [6, 7, 2, 3, 0, 5]
        assert found.tolist() == ([*numbers, 1, 4] if entries == -np.inf else [1, 4, *numbers])


@pytest.mark.parametrize("layout", ["square grid", "ring", "random"])
@pytest.mark.parametrize("wide", [False, True])
def test_greedy_by_a_table_chooses_what_gains_choose(layout, wide):
    """Grids and rings tie up to all items at once, which rounding would order otherwise."""
    n, k = 64, 20
    if layout == "square grid":
        points = np.stack(np.divmod(np.arange(n), 8), axis=1) / 8
    elif layout == "ring":
        points = np.stack(
            [np.cos(np.arange(n) * 2 * np.pi / n), np.sin(np.arange(n) * 2 * np.pi / n)], axis=1
        )
    else:
        points = np.random.default_rng(0).random((n, 2))
    kernel = np.exp(-4 * ((points[:, None] - points[None]) ** 2).sum(-1))
    with jax.enable_x64(wide):
        F, ground = LogDet(n, k), jnp.arange(n)
        params = kernel_params(kernel, 0.05)
        table, plain = jax.jit(lambda p: (greedy(F, p, ground, k), _by_gains(F, p, ground, k, n)))(params)
    np.testing.assert_array_equal(table.index, plain[1])
    np.testing.assert_array_equal(table.gain, plain[2])
    assert table.stat.items.dtype == jnp.int32


def test_lazy_saves_evaluations():
    F, make = CASES["facility"]
    found = jax.jit(lambda p: lazy_greedy(F, p, GROUND, K))(make(np.random.default_rng(0)))
    assert int(found.evaluations) < N * K / 2


def test_greedy_reaches_its_bound_on_visits():
    """A modular function of pairs: greedy is optimal, and ties go to the lowest index."""
    F, ground = Visits(3, 4), stack_visits(3, 4)
    worth = jnp.asarray(np.random.default_rng(0).integers(0, 5, (3, 4)), jnp.float32)
    found = jax.jit(lambda p: greedy(F, p, ground, 5))(worth)
    order = np.argsort(-np.asarray(worth).ravel(), kind="stable")[:5]
    np.testing.assert_array_equal(found.index, order)
    assert isinstance(ground, Visit) and float(F.value(worth, found.stat)) == worth.ravel()[order].sum()


def test_stochastic_greedy():
    """All items sampled is greedy; with the size for eps 200 keys keep 1 - 1/e - eps of greedy."""
    F, make = CASES["facility"]
    params = make(np.random.default_rng(3))
    sample = sample_size(N, K, 0.1)
    assert sample == int(np.ceil(N / K * np.log(10)))

    @jax.jit
    def run(params):
        exact = greedy(F, params, GROUND, K)
        whole = stochastic_greedy(F, params, GROUND, K, jax.random.key(0), N)
        keys = jax.random.split(jax.random.key(1), 200)
        many = jax.vmap(lambda k: stochastic_greedy(F, params, GROUND, K, k, sample))(keys)
        return exact, whole, many

    exact, whole, many = run(params)
    np.testing.assert_array_equal(exact.index, whole.index)
    assert all(len(set(row.tolist())) == K for row in np.asarray(many.index))
    ratio = np.asarray(many.gain).sum(1) / float(exact.gain.sum())
    assert 0.9 < ratio.mean() < 1 and ratio.min() > 1 - np.exp(-1) - 0.1
    assert len({tuple(row) for row in np.asarray(many.index).tolist()}) > 100


def test_partition_takes_one_of_each_block():
    F, make = CASES["coverage"]
    blocks = np.random.default_rng(0).permutation(N).reshape(K, -1)
    found = jax.jit(lambda p: partition_greedy(F, p, GROUND, jnp.asarray(blocks)))(
        make(np.random.default_rng(1))
    )
    listed = partition_greedy(F, make(np.random.default_rng(1)), GROUND, blocks.tolist())
    np.testing.assert_array_equal(listed.index, found.index)
    assert [int(i) in block for i, block in zip(found.index, blocks.tolist(), strict=True)] == [True] * K
    assert int(found.evaluations) == N


def test_bounds_by_hand():
    assert greedy_bound(1) == 1 and greedy_bound(2) == 0.75 and greedy_bound(3, 0) == 1
    assert greedy_bound(10**6) == pytest.approx(1 - np.exp(-1), abs=1e-6)
    assert greedy_bound(10**6, 0.5) == pytest.approx((1 - np.exp(-0.5)) / 0.5, abs=1e-6)
    for c in (1e-17, 1e-12, 1e-6):  # 1 - c (k - 1) / (2 k) up to terms of second order
        assert greedy_bound(5, c) == pytest.approx(1 - 0.4 * c, abs=c**2, rel=1e-15)
    assert greedy_bound(4, 0.5) == (1 - 0.875**4) / 0.5
    assert partition_bound() == 0.5 and partition_bound(0) == 1
    assert sample_size(10, 10, 1e-9) == 10


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda F, p: greedy(F, p, GROUND, 0), "k: must be an int in"),
        (lambda F, p: greedy(F, p, GROUND, 2.5), "k: must be an int in"),
        (lambda F, p: lazy_greedy(F, p, GROUND, N + 1), "k: must be an int in"),
        (lambda F, p: greedy(F, p, jnp.arange(N + 1), 3), "ground: entry 60 is 60, which is no item"),
        (lambda F, p: lazy_greedy(F, p, GROUND - 1, 3), "ground: entry 0 is -1, which is no item"),
        (
            lambda F, p: stochastic_greedy(F, p, GROUND / 2, 3, KEY, 5),
            "ground: entry 0 is 0.0, which is no item",
        ),
        (lambda F, p: partition_greedy(F, p, GROUND + 9, np.array([[0, 1]])), "ground: entry 51 is 60"),
        (lambda F, p: greedy(F, p, [0, 1, 2], 2), "ground: must have leaves"),
        (lambda F, p: greedy(LogDet(N, 4), p, GROUND, 5), "F.capacity is 4"),
        (lambda F, p: stochastic_greedy(F, p, GROUND, 3, KEY, 0), "stochastic_greedy.sample"),
        (lambda F, p: greedy(WRAPPED, WRAPPED.default_params(), jnp.arange(10), 7), "F.capacity is 4"),
        (lambda F, p: partition_greedy(F, p, GROUND, GROUND), "partition_greedy.blocks: shape"),
        (lambda F, p: partition_greedy(F, p, GROUND, jnp.array([[0, 1], [1, 2]])), "blocks must not overlap"),
        (lambda F, p: partition_greedy(F, p, GROUND, np.array([[0, N]])), "positions must lie in 0 .. 59"),
        (lambda F, p: partition_greedy(F, p, GROUND, [[0, 1], [2]]), "blocks: must all be of one length"),
        (
            lambda F, p: partition_greedy(F, p, GROUND, [[0.0, 1.0]]),
            "positions must be integers, got float64",
        ),
        (
            lambda F, p: partition_greedy(F, p, GROUND, [[True, False]]),
            "positions must be integers, got bool",
        ),
        (lambda F, p: partition_greedy(F, p, GROUND, np.zeros((0, 2), int)), "at least one block and item"),
        (lambda F, p: partition_greedy(F, p, GROUND, [[], []]), "at least one block and item"),
        (
            lambda F, p: partition_greedy(LOG, LOG.default_params(), GROUND[:10], GROUND[:5, None]),
            "5 items, but F",
        ),
        (lambda F, p: sample_size(10, 2, 1.0), "sample_size.eps"),
        (lambda F, p: sample_size(10, 0, 0.1), "sample_size.k"),
        (lambda F, p: greedy_bound(0), "greedy_bound.k"),
        (lambda F, p: greedy_bound(3, 1.5), "greedy_bound.c"),
        (lambda F, p: partition_bound(-0.1), "partition_bound.c"),
    ],
)
def test_refuses(call, sentence):
    F, make = CASES["coverage"]
    with pytest.raises(UsageError, match=sentence):
        call(F, make(np.random.default_rng(0)))
