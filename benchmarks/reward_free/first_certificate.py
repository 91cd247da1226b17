"""First certified episode of HF-UCRL-RFE++ by horizon, all members in one program, in lanes of two widths.

python -m benchmarks.reward_free.first_certificate
"""

from __future__ import annotations

import time

import jax

from experiments.reward_free.first_certificate import METHODS, certified, explore
from jaxrl.core.types import PyTree
from jaxrl.envs.tabular.mixture_generators import hard_instance
from jaxrl.run.sweep import Member

HORIZONS = (8, 16, 32)
METHOD = METHODS["HF-UCRL-RFE++"]


def certify(
    mixture: PyTree, horizons: tuple[int, ...], seeds: int, episodes: int, lane: int
) -> tuple[list[Member], float]:
    """Members of all horizons, then seeds, and the seconds they took."""
    start = time.perf_counter()
    hypers = [{"horizon": H, "epsilon": 0.25} for H in horizons]
    members = explore(METHOD, mixture, hypers, episodes=episodes, seeds=seeds, float64=True, lane=lane)
    return members, time.perf_counter() - start


def main() -> None:
    """Prints a line per member and width: H, first certified episode, the same over beta^2, plans."""
    with jax.enable_x64(True):
        mixture = hard_instance(4, 1000)
        for lane in (1, 6):
            members, seconds = certify(mixture, HORIZONS, 2, 8000, lane)
            for member in members:
                row, H = certified(METHOD, member, mixture), int(member.hyper.horizon)
                print(
                    f"lane {lane}  H {H}  K {row.episodes:.0f}  K/beta^2 {row.scaled:.0f}"
                    f"  plans {row.plans:.0f}"
                )
            print(f"lane {lane}  {seconds:.1f} s with compilation")


if __name__ == "__main__":
    main()
