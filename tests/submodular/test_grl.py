"""The GRL iteration on a grid of known optimum."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.combinators import OfPlaces
from jaxrl.envs.sets.log_det import LogDet
from jaxrl.submodular.exact import best_value
from jaxrl.submodular.grl import global_rl, modular_bound
from tests.submodular.sixteen_cells import W16, problem

_, PARAMS, MDP, PROBLEM, F = problem()


def test_global_rl_never_falls_and_reaches_the_optimum_from_some_orders():
    """A local search: of six keys, which draw the orders, one reaches 91; greedy is 85."""
    ends = MDP.P.argmax(-1)
    over_visits = OfPlaces(F)
    one = partial(global_rl, over_visits, states=6, iterations=12, orders=32)
    run = jax.jit(jax.vmap(lambda key: one(PARAMS.F, ends, 0, key=key)))
    found = jax.tree.map(np.asarray, run(jnp.stack([jax.random.key(seed) for seed in range(6)])))
    assert np.all(np.diff(found.value) >= 0) and np.all(found.value[:, 0] == 31)  # stays at first
    assert found.value[:, -1].max() == best_value(PROBLEM) and np.median(found.value[:, -1]) >= 85
    best = found.value[:, -1].argmax()
    values, path = found.value[best], found.place[best]
    assert path[0] == 0
    assert all(b in np.asarray(ends)[a] for a, b in itertools.pairwise(path))
    seen = np.zeros(16, bool)
    for v in path:
        seen[np.asarray(PARAMS.F.elements)[v][np.asarray(PARAMS.F.elements)[v] < 16]] = True
    assert values[-1] == np.asarray(W16)[seen].sum()
    with pytest.raises(UsageError, match=r"global_rl\.states"):
        global_rl(over_visits, PARAMS.F, ends, 0, 1, jax.random.key(0), 2)
    with pytest.raises(UsageError, match=r"modular_bound\.order: 96 items, but F\.capacity is 6"):
        visits = OfPlaces(LogDet(16, 6))
        global_rl(visits, visits.default_params(), ends, 0, 6, jax.random.key(0), 2)
    order = jnp.arange(15, -1, -1)
    m = modular_bound(F, PARAMS.F, jnp.arange(16), order)
    assert float(m[15]) == W16[15] and float(m.sum()) == sum(W16)


@pytest.mark.parametrize(("entry", "at"), [(9, 0), (0, 7), (-1, 0), (0.5, 0)])
def test_ends_and_starts_that_are_no_places_are_refused(entry, at):
    ends = np.array([[entry, 0], [1, 1], [2, 2]])
    with pytest.raises(UsageError, match=r"global_rl\.ends, start: must be integers"):
        global_rl(OfPlaces(F), PARAMS.F, ends, at, 3, jax.random.key(0), 2)


def test_loops_carry_places_of_32_bits_also_where_tables_have_64():
    with jax.enable_x64(True):
        _, params, mdp, _, F = problem()
        found = global_rl(OfPlaces(F), params.F, mdp.P.argmax(-1), 0, 6, jax.random.key(0), 2, 4)
        assert found.place.dtype == jnp.int32 and float(found.value[-1]) >= 31


def test_items_outside_the_function_are_refused():
    with pytest.raises(UsageError, match=r"modular_bound\.ground: entry 16 is 16"):
        modular_bound(F, PARAMS.F, np.arange(17), np.arange(17))
