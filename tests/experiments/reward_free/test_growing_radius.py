"""With known sums of probabilities the first certificate is the smallest because the radius grows."""

import jax
import numpy as np

from experiments.reward_free import growing_radius


def test_certificates_rise_with_the_radius_and_fall_at_a_constant_one():
    """Over the radius certificates fall in every fifth episode; at a constant radius the last is kept."""
    with jax.enable_x64(True):
        growing, constant = growing_radius.runs(horizon=8, episodes=30)
    assert growing.best == 1 and growing.certificates[-1] > 1.2 * growing.certificates[0]
    assert np.all(np.diff((growing.certificates / growing.radii)[::5]) < 0)
    assert constant.best == 30 and constant.certificates[-1] < constant.certificates[0]
    assert growing.rho[0] == constant.rho[0] < 0.2
