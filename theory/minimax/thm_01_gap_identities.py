"""The gap is both an inner product of gradients and twice a duality gap.

Statement. Let (f*, g*) be the saddle of L and G = |g - g*|_q^2 + lam |f - f*|_p^2. For all f and g,
    <dL/df, f - f*>_p - <dL/dg, g - g*>_q = G    and    L(f, g*) - L(f*, g) = G / 2.

Check. 50 random problems of 5 x 7 nodes with random weights and anchors, random f, g; errors relative to G.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.minimax.flow import gap
from jaxrl.minimax.problem import Problem, problem
from theory.exact.result import Result
from theory.minimax.oracles import saddle
from theory.minimax.setting import at_most


def instance(seed: int, n: int = 50) -> list[Problem]:
    """`n` random problems."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        T, (h, z), (u, x) = rng.normal(size=(7, 5)), rng.normal(size=(2, 7)), rng.normal(size=(2, 5))
        p, q, lam = rng.dirichlet(np.ones(5) * 3), rng.dirichlet(np.ones(7) * 3), rng.uniform(0.1, 1)
        made.append(problem(T, h, p, q, x, z, lam=lam, u=u))
    return made


def check(share: float = 0.5) -> Result:
    """Both differences, over G; L(f, g*) - L(f*, g) is held against `share` G."""
    rng, errors = np.random.default_rng(1), []
    with jax.enable_x64(True):
        for made in instance(0):
            f, g, (f_star, g_star) = rng.normal(size=5), rng.normal(size=7), saddle(made)
            down, up = made.gradients(f, g)
            G = float(gap(made, f, g, (f_star, g_star)))
            duality = float(made.loss(f, g_star) - made.loss(f_star, g))
            errors += [(down @ (f - f_star) - up @ (g - g_star) - G) / G, (duality - share * G) / G]
    return at_most(errors, 1e-11)


def broken() -> Result:
    """The duality gap taken for the gap itself."""
    return check(share=1.0)
