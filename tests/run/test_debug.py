"""Replays of a member with a check after every primitive."""

import jax
import jax.numpy as jnp
import pytest

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.run import distributed
from jaxrl.run.debug import find_nonfinite
from jaxrl.run.population import Members, Population
from jaxrl.run.sweep import member_keys
from tests.run import sharing, toy


def members(lr, poison=None):
    algorithm = toy.make(toy.Config(width=4, poison=poison))
    population = Population.create(2, 1, jax.devices()[:2])
    hypers = toy.hypers(2, lr)
    return Members(algorithm, None, population, member_keys(0, 2), hypers, toy.data(2), False, True)


def test_a_replay_names_quantity_update_and_cause_of_one_member_and_nothing_of_the_other():
    found = members([0.1, 1e38])
    state = found.init()
    assert find_nonfinite(found, state, 0, 0, 6) is None
    text = find_nonfinite(found, state, 1, 0, 6)
    assert text is not None and " not finite at update " in text
    assert "primitive" in text or "overflowed" in text


def test_a_replay_counts_updates_from_where_it_starts():
    found = members([0.1, 0.1], poison=(3, 1))
    state = found.init()
    text = find_nonfinite(found, state, 1, 0, 6)
    assert "reward, " in text and "not finite at update 3: " in text
    assert find_nonfinite(found, state, 1, 0, 3) is None


def test_a_member_that_devices_share_is_replayed_on_one(monkeypatch):
    population = Population.create(1, 1, jax.devices()[:2], 2)
    hypers, keys = sharing.Hyper(lr=jnp.full(1, jnp.inf)), member_keys(0, 1)
    found = Members(sharing.make("evolution", spmd.WORK), None, population, keys, hypers, (), True, True)
    assert find_nonfinite(found, found.init(), 0, 0, 3).startswith("params not finite at update 0")
    monkeypatch.setattr(distributed, "several", lambda: True)
    with pytest.raises(UsageError, match="debug-nan: members that devices share are replayed by one process"):
        find_nonfinite(found, (), 0, 0, 3)
