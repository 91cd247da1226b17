"""Growth of costs of the exact oracles, each over three sizes.

    python -m benchmarks.exact.growth

Rows: returns of all deterministic policies, nondominated points, the linear programme over visits, and a
sweep of value iteration.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks.measure import Clock, Entry, emit
from theory.exact import lp, optimal_control, pareto
from theory.exact.tables import random_mdps

COMMANDS = [
    (
        True,
        ["--states", "50", "100", "200", "--policies", "8", "10", "12", "--points", "1000", "2000", "4000"],
        ["--states", "4", "5", "--policies", "2", "3", "--points", "10", "20"],
    )
]
GROUP = "growth: exact oracles"
SWEEPS = 100


def timed(name: str, call: Callable[[], object], rounds: int, settings: str, each: int = 1) -> Entry:
    """Milliseconds of a call after a first one, over `each`."""
    call()
    times = []
    for _ in range(rounds):
        with Clock() as clock:
            call()
        times.append(1e3 * clock.cpu / each)
    return Entry.of(GROUP, name, times, "CPU-ms", settings=settings)


def sweeps(states: int) -> Callable[[], object]:
    """`SWEEPS` sweeps of value iteration; no change is below a negative tolerance, so none is left out."""
    mdp = random_mdps(0, 1, states, 4)[0]

    def run() -> None:
        try:
            optimal_control.value_iteration(mdp, tolerance=-1.0, sweeps=SWEEPS)
        except optimal_control.NumericalFailure:
            return

    return run


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--states", type=int, nargs="+", default=[50, 100, 200])
    parser.add_argument("--policies", type=int, nargs="+", default=[8, 10, 12])
    parser.add_argument("--points", type=int, nargs="+", default=[1000, 2000, 4000])
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    for n in args.policies:
        mdp = random_mdps(0, 1, n, 2, reward_dim=2)[0]
        call = lambda m=mdp: pareto.deterministic_returns(m)  # noqa: E731
        emit([timed(f"returns of 2^{n} policies", call, args.rounds, f"{n} states, 2 actions, 2 rewards")])
    for n in args.points:
        points = np.random.default_rng(0).normal(size=(n, 3))
        call = lambda x=points: pareto.nondominated(x)  # noqa: E731
        emit([timed(f"nondominated of {n} points", call, args.rounds, "3 objectives")])
    for n in args.states:
        mdp = random_mdps(0, 1, n, 4)[0]
        call = lambda m=mdp: lp.primal(m)  # noqa: E731
        emit([timed(f"programme over visits, {n} states", call, args.rounds, "4 actions, dense")])
        emit(
            [
                timed(
                    f"sweep of value iteration, {n} states",
                    sweeps(n),
                    args.rounds,
                    "4 actions, dense",
                    SWEEPS,
                )
            ]
        )


if __name__ == "__main__":
    main()
