"""Trajectory uncertainty can grow with the data: the best iterate is below the average, the last may not be.

Statement. For signed features V -> |phi_V| is not monotone, and the truncated uncertainty Vhat_1 of a fixed
parameter, policy and reward can rise when a Gram matrix grows: the last iterate can exceed the average over
episodes, which the proof of the rate bounds. The best iterate k* = argmin_k Vhat_{k,1} never does, and the
certificate 4 Vhat_{k*,1} holds for every k.

Check. Five states, one action, four features of both signs, H = 3, reward 1 at the last stage in y1,
beta = 0.8: 0.2036100797 before and 0.2611665793 after the tilde matrix grew by diag(0, 0, 10^4, 0); ten
iterates of the growing matrix.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result
from theory.reward_free import definitions
from theory.reward_free.instances import Mixture, signed

TOLERANCE = 1e-8
HAT, TILDE = np.diag([1e4, 0.25, 1.0, 1.0]), np.diag([1e4, 1.0, 1.0, 1.0])


def instance() -> Mixture:
    """The mixture whose uncertainty grows."""
    return signed()


def iterates(grown: np.ndarray) -> np.ndarray:
    """Vhat_1 at the first state, one per entry of `grown`, what was added to the third direction."""
    phi, theta = instance()
    reward, policy = np.zeros((3, 5, 1)), np.zeros((3, 5), int)
    reward[2, 4] = 1.0
    return np.array(
        [
            definitions.uncertainty(
                phi, theta, policy, reward, (HAT, TILDE + np.diag([0, 0, g, 0])), 0.8
            ).Vhat[0, 0]
            for g in grown
        ]
    )


def check(last: bool = False) -> Result:
    """Errors of the two values, and the chosen iterate minus the average; `last`: the one at the end."""
    values = iterates(np.r_[0.0, np.geomspace(1.0, 1e4, 9)])
    chosen = values[-1] if last else values.min()
    errors = [
        abs(values[0] - 0.2036100797),
        abs(values[-1] - 0.2611665793),
        chosen - values.mean(),
        values[0] - values[-1],
    ]
    measured = float(max(errors))
    return Result(measured, TOLERANCE, measured <= TOLERANCE)


def broken() -> Result:
    """The last iterate, which is below the average only if the uncertainty never grows."""
    return check(last=True)
