"""What counts as broken, leaf by leaf."""

import types
from typing import NamedTuple

import jax
import jax.numpy as jnp
import pytest

from jaxrl.core.types import Mean
from jaxrl.run import guard


class State(NamedTuple):
    net: dict
    memory: dict


def broken(params=0.0, slope=0.0, memory=0.0, metric=0.0):
    """Names of what is broken; leaves of equal shape, one that is empty, one of integers."""
    state = State(
        {"params": jnp.zeros((2, 3)).at[1, 2].set(params), "slope": jnp.zeros((2, 3)).at[0, 1].set(slope)},
        {"x": jnp.full(3, memory), "none": jnp.zeros((0, 4)), "count": jnp.arange(3)},
    )
    found = guard.broken(state, {"loss": Mean(jnp.float32(metric), jnp.float32(1))})
    assert set(found) == {"loss", "net", "memory"}
    return {name for name, bad in found.items() if bad}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, set()),
        ({"params": jnp.nan}, {"net"}),
        ({"params": -jnp.inf}, {"net"}),
        ({"slope": jnp.nan}, {"net"}),
        ({"slope": jnp.inf}, set()),  # only parameters have to be finite
        ({"memory": jnp.inf}, set()),
        ({"memory": jnp.nan, "metric": jnp.inf}, {"loss", "memory"}),
    ],
)
def test_broken_names_what_is_not_finite(values, names):
    assert broken(**values) == names


def test_simulators_buffers_and_keys_are_not_watched_at_any_depth():
    nan = jnp.full(2, jnp.nan)
    unseen = {"vec": nan, "key": jax.random.key(0), "buffer": {"obs": nan, "params": nan}}
    learners = unseen | {"params": {"buffer": jnp.ones(2), "key": jnp.ones(3)}, "scale": jnp.ones(1)}
    state = {"runs": learners, "vec": {"params": nan}, "archive": [jnp.full(2, -jnp.inf), unseen]}
    assert {name: len(leaves) for name, leaves in guard.watched(state).items()} == {"runs": 3, "archive": 1}
    assert not any(guard.broken(state, {}).values())
    assert {name: len(leaves) for name, leaves in guard.parameters(state).items()} == {"runs": 2}
    for name in ("buffer", "key"):
        learners["params"][name] = learners["params"][name].at[0].set(jnp.inf)
        assert guard.broken(state, {}) == {"runs": True, "archive": False}
        learners["params"][name] = jnp.ones(2)


class Member(NamedTuple):
    params: dict
    buffer: dict
    updates: jnp.ndarray


def doubling(state, limit, data):
    """Doubles its parameters, infinite beyond `limit`; counts in its buffer."""
    grown = jnp.where(state.params["w"] > limit, jnp.inf, 2 * state.params["w"])
    buffer = {"rows": state.buffer["rows"].at[state.updates].add(1.0)}
    return Member({"w": grown}, buffer, state.updates + 1), {"w": grown[0]}


def lane_of(limits, live, count):
    step = guard.Step(types.SimpleNamespace(step=doubling))
    state = Member({"w": jnp.ones(2)}, {"rows": jnp.zeros(1000)}, jnp.int32(0))
    several = jax.tree.map(lambda x: jnp.broadcast_to(x, (len(limits), *x.shape)), state)
    blank = jax.vmap(lambda s, h: guard.empty_window(step, s, h, None))(several, limits)
    run = jax.vmap(guard.advance(step, freeze=True), in_axes=(0, 0, 0, 0, None, None, None))
    return run, (several, blank, limits, live, None, jnp.int32(count), jnp.bool_(True))


def test_members_of_a_lane_stop_alone():
    """Beyond 3 the parameters 1, 2, 4 break at update 2; the second member ends, the third is padding."""
    run, args = lane_of(jnp.array([1e9, 3.0, 1e9]), jnp.array([True, True, False]), 5)
    state, window = jax.jit(run)(*args)
    assert state.updates.tolist() == [5, 3, 0]
    assert state.params["w"][:, 0].tolist() == [32.0, float("inf"), 1.0]
    assert window.first_bad["params"].tolist() == [-1, 2, -1]
    assert window.metrics["w"].count.tolist() == [5.0, 3.0, 0.0]
    assert state.buffer["rows"][0, :6].tolist() == [1.0] * 5 + [0.0]


def test_a_lane_that_has_ended_takes_no_further_step():
    run, args = lane_of(jnp.array([3.0, 3.0]), jnp.array([True, True]), 1000)
    state, _ = jax.jit(run)(*args)
    assert float(state.buffer["rows"].sum()) == 2 * 3


def test_no_selection_over_a_buffer():
    """A selection over a replay memory at every update would cost more than the update."""
    run, args = lane_of(jnp.array([1e9, 3.0]), jnp.array([True, True]), 5)
    selected = [
        line
        for line in str(jax.make_jaxpr(run)(*args)).splitlines()
        if "select_n" in line and "[2,1000]" in line
    ]
    assert selected == []
