"""Mountain Car, with discrete and with continuous actions, against gymnasium by state injection."""

import pytest

from tests.envs.control.parity import (
    check_constants,
    check_limit_and_start,
    check_steps,
    check_steps_in_float64,
)


@pytest.mark.parametrize("name", ["MountainCar", "MountainCarContinuous"])
def test_step_equals_gymnasium(name):
    check_steps(name)


@pytest.mark.parametrize("name", ["MountainCar", "MountainCarContinuous"])
def test_step_equals_gymnasium_in_float64(name):
    check_steps_in_float64(name)


@pytest.mark.parametrize("name", ["MountainCar", "MountainCarContinuous"])
def test_every_constant_means_what_it_means_in_gymnasium(name):
    check_constants(name)


@pytest.mark.parametrize("name", ["MountainCar", "MountainCarContinuous"])
def test_time_limit_and_start_equal_gymnasium(name):
    check_limit_and_start(name)
