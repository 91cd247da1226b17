"""Facility location by hand, and similarities that are refused."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.facility_location import FacilityLocation, similarities


def test_gains_by_hand():
    """Maxima of columns: (1, 0), then (1, 4), then (3, 4)."""
    F, params = FacilityLocation(3, 2), similarities([[1, 0], [0, 4], [3, 1]])
    stat, gains = F.init(params), []
    for item in range(3):
        stat, gain = F.add(params, stat, jnp.int32(item))
        gains.append(float(gain))
    assert gains == [1, 4, 2] and float(F.value(params, stat)) == 7


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: similarities(np.ones(3)), "similarities.matrix: shape"),
        (lambda: similarities([[1.0, -1.0]]), "similarities.matrix: has negative"),
        (lambda: similarities([[1.0, np.nan]]), "similarities.matrix: has negative or NaN"),
        (lambda: similarities(np.full((8, 8), 1e39)), "similarities.matrix: .* not finite in float32"),
        (lambda: FacilityLocation(9).init(jnp.eye(8)), "FacilityLocation.similarity: has shape"),
        (lambda: FacilityLocation(0), "FacilityLocation.n_items"),
    ],
)
def test_refuses(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()


EYE = np.eye(3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: FacilityLocation(3, 0), r"FacilityLocation\.n_universe: must be >= 1"),
        (lambda: similarities(-EYE), r"similarities\.matrix: has negative or NaN entries"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
