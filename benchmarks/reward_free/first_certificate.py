"""First certified episode of HF-UCRL-RFE++ by horizon, all members in one program, in lanes of two widths.

python -m benchmarks.reward_free.first_certificate
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.reward_free import hf
from jaxrl.run.train import Trained, train

HORIZONS = (8, 16, 32)


def certify(horizons: tuple[int, ...], seeds: int, updates: int, lane: int) -> tuple[Trained, float]:
    """Members of all horizons and seeds on the hard instance with d = 4, and the seconds they took."""
    mixture = hard_instance(4, 1000)
    bound = float(jnp.linalg.norm(mixture.theta))
    records = [hf.Hyper(horizon=H, bound=bound, epsilon=0.25) for H in horizons for _ in range(seeds)]
    hypers = jax.tree.map(lambda *x: jnp.asarray(x), *records)
    keys = jax.vmap(jax.random.key)(jnp.tile(jnp.arange(seeds), len(horizons)))
    algorithm = hf.make(hf.Config(horizon=max(horizons)), LinearMixture.of(mixture))
    start = time.perf_counter()
    trained = train(algorithm, keys, hypers, mixture, updates=updates, float64=True, lane=lane)
    return trained, time.perf_counter() - start


def main() -> None:
    """Prints a line per member and width: H, first certified episode, the same over beta^2, plans."""
    with jax.enable_x64(True):
        for lane in (1, 6):
            trained, seconds = certify(HORIZONS, 2, 80, lane)
            beta = trained.history["beta"][-1]
            rows = zip(
                np.repeat(HORIZONS, 2), trained.state.certified, trained.state.plans, beta, strict=True
            )
            for H, K, plans, radius in rows:
                print(f"lane {lane}  H {H}  K {int(K)}  K/beta^2 {K / radius**2:.0f}  plans {int(plans)}")
            print(f"lane {lane}  {seconds:.1f} s with compilation")


if __name__ == "__main__":
    main()
