"""Why the first certificate of HF-UCRL-RFE++ can stay the smallest: its radius grows faster than its data.

python -m experiments.reward_free.growing_radius --horizon 16 --episodes 1200

The hard instance of the lower bound with sums of probabilities given (`pin`), a plan in every episode. Two
runs: with the radius beta_k of every episode, and with that of the last episode in all of them. A certificate
is the radius times a norm, to first order: if norms or estimates were the reason, the first certificate would
stay the smallest in the second run, too.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.reward_free import hf
from jaxrl.reward_free.features import form_of

D = 4


class Run(NamedTuple):
    """Certificates and radii `[K]`, the episode of the smallest certificate, rho before and after."""

    certificates: np.ndarray
    radii: np.ndarray
    best: int
    rho: tuple[float, float]


def runs(horizon: int, episodes: int, c_beta: float = 0.2) -> tuple[Run, Run]:
    """The run with the radius of every episode, and that with the last radius in all; float64 is on."""
    mixture = hard_instance(D, 1000)
    config = hf.Config(horizon=horizon, episodes=1, pin=True)
    bound = float(jnp.linalg.norm(mixture.theta))
    hyper = hf.Hyper(horizon=horizon, bound=bound, c_beta=c_beta, ratio=1.0)
    radius = jax.jit(lambda k: hf.radius(config, form_of(mixture), hyper, k).beta)
    radii = np.array([float(radius(jnp.asarray(k))) for k in range(1, episodes + 1)])
    algorithm = hf.make(config, LinearMixture.of(mixture))
    first = algorithm.init(jax.random.key(0), hyper, mixture)
    step = jax.jit(lambda state, c_beta: algorithm.step(state, hyper.replace(c_beta=c_beta), mixture)[0])
    found = []
    for used in (radii, np.full(episodes, radii[-1])):
        state, certificates, rho = first, [], [float(hf.realised_radius(config, first, hyper, mixture))]
        for beta, own in zip(used, radii, strict=True):
            state = step(state, jnp.asarray(c_beta * beta / own))
            certificates.append(float(state.certificate))
        rho.append(float(hf.realised_radius(config, state, hyper, mixture)))
        found.append(Run(np.array(certificates), used, int(state.best.episode), (rho[0], rho[1])))
    return found[0], found[1]


def main() -> None:
    """Prints a line per run and episode: k, certificate, radius, their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--horizon", type=int, default=16)
    parser.add_argument("--episodes", type=int, default=1200)
    args = parser.parse_args()
    with jax.enable_x64(True):
        for name, run in zip(("radius of k", "last radius"), runs(args.horizon, args.episodes), strict=True):
            certificates, below = run.certificates, np.flatnonzero(run.certificates < run.certificates[0])
            print(
                f"{name}: kept episode {run.best}; first below the first one {below[:1] + 1}; largest at"
                f" {certificates.argmax() + 1}; rho {run.rho[0]:.3f} to {run.rho[1]:.3f}"
            )
            for k in sorted({1, 3, 10, 30, 100, 300, 1000, int(certificates.argmax()) + 1, args.episodes}):
                if k <= args.episodes:
                    value, beta = certificates[k - 1], run.radii[k - 1]
                    print(f"  k {k}  certificate {value:.4f}  radius {beta:.3f}  ratio {value / beta:.4f}")


if __name__ == "__main__":
    main()
