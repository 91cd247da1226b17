"""The promises of set functions on every subset, and functions that break them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.check import check_set_function
from jaxrl.envs.sets.coverage import Coverage, CoverageParams
from jaxrl.envs.sets.facility_location import FacilityLocation
from jaxrl.envs.sets.log_det import LogDet
from jaxrl.envs.sets.modular import Modular
from tests.envs.sets.cases import CASES, items_of


@pytest.mark.parametrize("name", CASES)
def test_promises_on_every_subset(name):
    """Exhaustive for at most 9 elements."""
    F, params, ground, _ = CASES[name]
    with jax.enable_x64(True):
        check_set_function(F, params(), items_of(ground))


def test_random_subsets_of_more_than_nine_elements():
    F = FacilityLocation(40, 11)
    similarity = jnp.asarray(np.random.default_rng(2).random((40, 11)), jnp.float32)
    check_set_function(F, similarity, jnp.arange(40))


class Square(Modular):
    """|S|^2: monotone, not submodular."""

    def value(self, params, stat):
        return stat**2

    def gain(self, params, stat, item):
        return (stat + 1) ** 2 - stat**2

    def add(self, params, stat, item):
        return stat + 1, self.gain(params, stat, item)


class Growing(Modular):
    """The list of items as statistic."""

    def init(self, params):
        return jnp.zeros(0)

    def add(self, params, stat, item):
        return jnp.append(stat, params[item]), params[item]


class Last(Modular):
    """Each item is worth as much as its position: depends on the order."""

    def gain(self, params, stat, item):
        return stat * params[item]

    def add(self, params, stat, item):
        return stat + 1, stat * params[item]

    def value(self, params, stat):
        return stat * 0


class Wrong(Modular):
    """A gain that add does not return."""

    def gain(self, params, stat, item):
        return 2 * params[item]


class Shifted(Modular):
    """Gains of which only the sum over all items is right."""

    def gain(self, params, stat, item):
        return params[item] + (item == 0) - (item == 1)


class Late(Shifted):
    """That which add returns is shifted, too: only the value tells."""

    def add(self, params, stat, item):
        return stat + params[item], self.gain(params, stat, item)


@pytest.mark.parametrize(
    ("F", "params", "sentence"),
    [
        (Square(4), jnp.ones(4), "is not submodular"),
        (Modular(4), jnp.array([1.0, -1, 1, 1]), "is not monotone"),
        (Coverage(4), CoverageParams(jnp.eye(4, dtype=bool), -jnp.ones(4)), "is not monotone"),
        (Growing(4), jnp.ones(4), "keep its shapes"),
        (Last(4), jnp.ones(4), "gains sum to"),
        (Wrong(4), jnp.ones(4), "gain and add differ"),
        (Shifted(4), jnp.ones(4), "gain and add differ by 1"),
        (Late(4), jnp.ones(4), "gains sum to"),
        (LogDet(4, 3), LogDet(4, 3).default_params(), "LogDet: ground: 4 items, but F.capacity is 3"),
        (Modular(4), jnp.array([1.0, jnp.nan, 1, 1]), "not finite"),
        (Modular(3), jnp.ones(3), "Modular: ground: entry 3 is 3"),
    ],
)
def test_broken_functions_are_found(F, params, sentence):
    with pytest.raises(UsageError, match=sentence):
        check_set_function(F, params, jnp.arange(4))


def test_the_tolerance_is_the_one_given():
    """Gains of 0.1 do not sum to the value exactly."""
    F, params = Modular(7), jnp.full(7, 0.1)
    check_set_function(F, params, jnp.arange(7))
    with pytest.raises(UsageError, match="Modular"):
        check_set_function(F, params, jnp.arange(7), tolerance=0.0)
