"""The building's matrices and series against the checksums of the released model, and its own symmetries."""

import numpy as np
import pytest
import scipy.linalg

from jaxrl.envs.control.building_model import HOUR, matrices, weather, zones


def test_matrices_have_the_released_checksums():
    A, B = matrices()
    assert A.shape == (23, 23) and B.shape == (23, 26)
    found = [A.sum(), A.max(), np.linalg.norm(A), B.sum(), np.linalg.norm(B)]
    released = [11.394742789195, 0.169602779986, 0.855891947042, 255.169304904780, 21.252996573727]
    np.testing.assert_allclose(found, released, rtol=0, atol=1e-11)
    assert A.argmax() == 16 * 23 + 16
    assert np.abs(np.linalg.eigvals(A)).max() == pytest.approx(0.543772723, abs=1e-9)


def test_matrices_are_the_zero_order_hold_of_their_own_logarithm():
    A, B = matrices()
    rate = scipy.linalg.logm(A).real / HOUR
    np.testing.assert_allclose(scipy.linalg.expm(HOUR * rate), A, atol=1e-12)
    # a building as warm as ground and air keeps its temperature
    np.testing.assert_allclose(A.sum(1) + B[:, 0] + B[:, 1], 1, atol=1e-12)
    assert np.linalg.eigvals(rate).real.max() < 0


def test_weather_has_the_released_sums():
    outdoor, irradiance = weather()
    assert outdoor.shape == irradiance.shape == (681,)
    assert outdoor.sum() == pytest.approx(9015.3, abs=1e-9)
    assert irradiance.sum() * 1030 == pytest.approx(92580, abs=1e-9)
    assert irradiance.min() == 0 and irradiance.max() <= 1


def test_zones_stand_in_seven_layers():
    assert [zone.layer for zone in zones()] == [0] * 2 + [1] * 6 + [2] + [3] * 6 + [4] + [5] * 6 + [6]
