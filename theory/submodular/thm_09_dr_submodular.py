"""The value of eps-bandit problems is monotone and DR-submodular in the policy, for eps up to (V - 1) / V.

Statement. On the polytope Q of `bandit` the extended value has derivatives >= 0, mixed second derivatives
<= 0 between steps and 0 within a step, whenever eps <= (V - 1) / V. Beyond, an action makes its place less
likely and monotonicity fails. (Prajapat et al. 2024, definition 1, with the extension made explicit.)

Check. The three-place problem and 5 random ones, eps 0, 0.1, 0.3, 2/3, at 20 random points of Q each.
"""

from __future__ import annotations

import jax
import numpy as np

from jaxrl.core.types import Array
from theory.exact.result import Result, inequality
from theory.submodular.bandit import Bandit, extension, random_bandit, three_places


def instance(eps: float) -> list[Bandit]:
    """Bandit problems with three places."""
    return [three_places(eps), *(random_bandit(seed, eps) for seed in range(5))]


@jax.jit
def derivatives(points: Array, bandit: Bandit) -> tuple[Array, Array]:
    """First `[B, H, V]` and second `[B, H, V, H, V]` ones at `points` float[B, H, V]."""
    first, second = jax.grad(extension), jax.hessian(extension)
    return jax.vmap(first, (0, None))(points, bandit), jax.vmap(second, (0, None))(points, bandit)


def check(levels: tuple[float, ...] = (0.0, 0.1, 0.3, 2 / 3)) -> Result:
    """Largest of: minus a derivative, a mixed second derivative, the size of one within a step."""
    worst = []
    with jax.enable_x64(True):
        for eps in levels:
            for bandit in instance(eps):
                shape = (bandit.steps, bandit.places)
                points = np.random.default_rng(0).dirichlet(np.ones(4), (20, bandit.steps))[..., :3]
                first, second = map(np.asarray, derivatives(points, bandit))
                within = second[:, np.arange(shape[0]), :, np.arange(shape[0])]
                worst += [-float(first.min()), second.max(), np.abs(within).max()]
    return inequality(np.array(worst), 0.0)


def broken() -> Result:
    """The claim for an error of 0.8 > 2/3."""
    return check((0.8,))
