"""Functions made of functions: default parameters, mapped caps, and what does not fit together."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.check import check_set_function
from jaxrl.envs.sets.combinators import (
    CapParams,
    OfPlaces,
    Sum,
    SumParams,
    TimeWindow,
    Truncated,
    stack_visits,
)
from jaxrl.envs.sets.coverage import Coverage
from jaxrl.envs.sets.log_det import LogDet
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.sets.protocol import evaluate
from jaxrl.envs.sets.visits import Visits


def test_truncated_works_with_default_parameters_and_mapped_caps():
    F = Truncated(Modular(3), 2.0)
    check_set_function(F, F.default_params(), jnp.arange(3))
    F = Truncated(Coverage(3))
    many = CapParams(jnp.array([0.5, 1.0, 9.0]), F.F.default_params())
    values = jax.vmap(lambda p: evaluate(F, p, jnp.arange(3)), (CapParams(0, None),))(many)
    np.testing.assert_allclose(values, [0.5, 1, 3])


def test_capacities_and_kinds_of_items_are_those_of_the_parts():
    parts = (OfPlaces(LogDet(4, 3)), Visits(3, 4))
    assert Sum(parts).capacity == 3 and Sum(parts).timed
    assert Truncated(Sum(parts)).capacity == 3 and TimeWindow(Sum(list(parts)), 0, 2).capacity == 3
    assert not Sum((LogDet(4, 3), Modular(4))).timed and Sum((Modular(4),)).capacity is None


def test_stacked_visits_have_the_place_fastest():
    visits = stack_visits(2, 3)
    assert np.asarray(visits.h).tolist() == [0, 0, 0, 1, 1, 1]
    assert np.asarray(visits.v).tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: Sum((Modular(2),)).init(SumParams(jnp.ones(2), (jnp.ones(2),))), "Sum.weight: has shape"),
        (lambda: Sum((Modular(2), Visits(2, 2))), "Sum.parts: some are over visits"),
        (lambda: Sum(()), "Sum.parts"),
        (lambda: Truncated(Modular(2), -1), "Truncated.cap"),
        (lambda: Truncated(Modular(2), float("nan")), "Truncated.cap"),
        (lambda: TimeWindow(Modular(2), 0, 2), "TimeWindow.F: is over places"),
        (lambda: TimeWindow(Modular(2), 2, 2), "TimeWindow.low, high"),
        (lambda: TimeWindow(Visits(3, 2), -1, 2), "TimeWindow.low"),
        (lambda: TimeWindow(Visits(3, 2), 0.5, 2), "TimeWindow.low"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
