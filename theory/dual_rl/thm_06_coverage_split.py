"""Matching an expert is a pseudo-reward plus staying near the data, where the data cover the policy.

Statement. For distributions d, d^E > 0 and d^S with supp(d) in supp(d^S),
    -KL(d || d^E) = E_d[log d^E / d^S] - KL(d || d^S)
(the split behind OPOLO, SMODICE and DemoDICE). Where d is positive and d^S is 0, no reward is defined there.

Check. 100 random triples of distributions on 15 pairs, a third of them uncovered by both d and d^S.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.dual_rl.divergences import divergence
from theory.exact.result import Result, identity


def instance(seed: int, n: int = 100) -> np.ndarray:
    """`[n, 3, 15]`, distributions d, d^E, d^S; the first two thirds of d^S are positive, and so of d."""
    rng = np.random.default_rng(seed)
    distributions = rng.dirichlet(np.ones(15), (n, 3))
    distributions[:, [0, 2], 10:] = 0
    return distributions / distributions.sum(-1, keepdims=True)


def check(uncovered: float = 0.0) -> Result:
    """Left minus right; the right side leaves out the `uncovered` part of d, where d^S is 0."""
    errors, kl = [], divergence("kl")
    for d, d_e, d_s in instance(6):
        d = (1 - uncovered) * d + uncovered * np.repeat([0, 0.2], [10, 5])
        covered = d_s > 0
        inside, ratio = d[covered], d_e[covered] / d_s[covered]
        with jax.enable_x64(True):
            left = -float(kl.between(d, d_e))
            right = inside @ np.log(ratio) - float(kl.between(inside, d_s[covered]))
        errors.append(left - right)
    return identity(np.array(errors))


def broken() -> Result:
    """A tenth of the policy's occupancy where there are no data."""
    return check(uncovered=0.1)
