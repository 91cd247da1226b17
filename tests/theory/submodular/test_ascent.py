"""Where gradient ascent ends, to the digits."""

import jax
import numpy as np
import pytest

from theory.submodular.ascent import climb, climb_bandit
from theory.submodular.bandit import extension, half, tight
from theory.submodular.instances import coverage, trap


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "credit", "value", "decoded"),
    [
        ("C", "to_go", 90.860, 91),
        ("C2", "to_go", 93.840, 94),
        ("C", "marginal", 84.705, 85),
        ("C2", "marginal", 88.022, 81),
        ("D2", "to_go", 114.66, 115),
    ],
)
def test_ascent_on_coverage(name, credit, value, decoded):
    """Gains to come reach the optimum where myopic credit does not."""
    found = climb(coverage(name), credit, 1500)
    np.testing.assert_allclose(found, (value, decoded), atol=6e-3 if name == "D2" else 6e-4)


@pytest.mark.slow
@pytest.mark.parametrize("length", [3, 4])
def test_myopic_ascent_stays_in_the_trap(length):
    value, decoded = climb(trap(length, 10.0), "marginal", 3000)
    assert value == pytest.approx(1, abs=0.01) and decoded == 1


def test_ascent_of_a_bandit_ends_at_its_best_or_at_the_local_optimum():
    with jax.enable_x64(True):
        ends = [(half(), 1.0, 1.99), (tight(10), 30.0, 2.0)]
        for problem, rate, value in ends:
            policy = climb_bandit(problem, 3000, rate)
            np.testing.assert_allclose(np.asarray(policy).sum(-1), 1, atol=1e-12)
            assert float(extension(policy, problem)) == pytest.approx(value, abs=1e-2)
