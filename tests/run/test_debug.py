"""Replays of a member with a check after every primitive."""

import jax

from jaxrl.run.debug import find_nonfinite
from jaxrl.run.population import Members, Population
from jaxrl.run.sweep import member_keys
from tests.run import toy


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
