"""Frank-Wolfe over occupancies carries its own certificate.

Statement. For concave g of the occupancy, gap_k = max_d <grad g(d_k), d - d_k> is at least g(d*) - g(d_k);
the mixture of deterministic policies found on the way has occupancy d_K. (Frank and Wolfe 1956; Hazan et
al. 2019.)

Check. Smoothed entropy on 5 random MDPs of 5 places, 3 actions, 6 steps: the best value of 2,000 iterations
minus value_k, against gap_k, k < 50; and the occupancies of the mixture's parts, mixed.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.submodular.frank_wolfe import frank_wolfe, occupancy
from theory.exact.result import Result, inequality

STEPS = 6


def instance(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random P `[5, 3, 5]` and mu0 `[5]`."""
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(5, 0.3), (5, 3)), rng.dirichlet(np.ones(5))


def check(scale: float = 1.0) -> Result:
    """Missing value minus `scale` gap, and the error of the mixture's occupancy."""
    worst = []
    run = jax.jit(frank_wolfe, static_argnums=(2, 3))
    mix = jax.jit(jax.vmap(occupancy, (None, None, 0)))
    with jax.enable_x64(True):
        for seed in range(5):
            P, mu0 = map(jnp.asarray, instance(seed))
            short, long = run(P, mu0, STEPS, 50), run(P, mu0, STEPS, 2000)
            best = float(long.value.max())
            worst.append(float((best - short.value[:-1] - scale * short.gap).max()))
            parts = mix(P, mu0, short.action)
            worst.append(float(jnp.abs(short.weight @ parts - short.occupancy).max()) - 1e-12)
    return inequality(np.array(worst), 0.0)


def broken() -> Result:
    """The certificate with a tenth of the gap."""
    return check(0.1)
