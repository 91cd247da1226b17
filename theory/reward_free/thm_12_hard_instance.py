"""On the instance of the lower bound every misjudged direction costs the same, whatever the others are.

Statement. From x1 the action a in {-1, 1}^(d - 1) leads to the rewarding state with p + <mu, a>,
mu in {-Delta, Delta}^(d - 1). With reward 1/H there, an action that misjudges j signs of mu has the value
    ((H - 1) / H) (p + (d - 1 - 2 j) Delta);
features satisfy |phi_V| <= 1 for V in [0, 1], and |theta*| = 1 + Delta (d - 1).
(Zhou, Gu and Szepesvari 2021, section on the lower bound.)

Check. d = 4, H = 16 and d = 8, H = 32, K = 1000, signs all +1 and random: all actions by backward
induction, all eight V for the norm; V* = 0.1626686237208 and 0.1769343483045.
"""

from __future__ import annotations

import numpy as np

from theory.exact.result import Result, identity
from theory.reward_free import definitions
from theory.reward_free.instances import Mixture, hard

P = 1 / 6


def instance() -> list[tuple[Mixture, int, np.ndarray]]:
    """Triples of a mixture, its horizon and the signs of mu."""
    rng = np.random.default_rng(0)
    found = []
    for d, H in ((4, 16), (8, 32)):
        for signs in (np.ones(d - 1), rng.choice([-1.0, 1.0], d - 1)):
            found.append((hard(d, 1000, signs), H, signs))
    return found


def check(cost: float = 2.0) -> Result:
    """Errors of the values of all actions, of norms, and optima; `cost` of a wrong sign in Delta."""
    errors = []
    for (phi, theta), H, signs in instance():
        kernel, n = phi @ theta, len(signs)
        delta = np.sqrt(P / 1000) / (4 * np.sqrt(2))
        later = (H - 1) / H * np.array([0.0, 0.0, 1.0])  # stages 2 .. H in the rewarding state
        values = kernel[0] @ later
        actions = 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1) - 1
        wrong = (actions != signs).sum(-1)
        errors.append(values - (H - 1) / H * (P + (n - cost * wrong) * delta))
        largest = max(
            np.linalg.norm(definitions.integrated(phi, f), axis=-1).max() for f in definitions.sets(3)
        )
        errors.append(np.maximum(0, largest - 1))
        errors.append(np.linalg.norm(theta) - 1 - delta * n)
        errors.append(kernel.sum(-1) - 1)
        errors.append(values.max() - {4: 0.1626686237208, 8: 0.1769343483045}[n + 1])
    return identity(*errors)


def broken() -> Result:
    """A cost of Delta per wrong sign, half of the true one."""
    return check(cost=1.0)
