"""apricot-select at our settings, served round by round, in the environment of `gains setup`.

python -m benchmarks.submodular.apricot_worker facility-lazy --items 2000 --chosen 100

A round is the selection alone. Before it each `fit` of apricot compiles its loops anew; reported once.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np
from apricot import FacilityLocationSelection, FeatureBasedSelection
from apricot.optimizers import LazyGreedy, NaiveGreedy

from benchmarks.measure import Clock
from benchmarks.submodular import instances as instances


class Timed:
    """An optimizer of apricot with a clock around it."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.clock = inner, Clock()

    def select(self, X: np.ndarray, k: int, sample_cost: Any = None) -> None:
        """Selects as the inner optimizer does, under the clock."""
        with self.clock:
            self.inner.select(X, k, sample_cost=sample_cost)


def fit(what: str, data: np.ndarray, chosen: int) -> tuple[np.ndarray, Clock, Clock]:
    """`(indices, clock of the selection, clock of the whole fit)`."""
    if what == "feature-naive":
        selector = FeatureBasedSelection(chosen, concave_func="sqrt")
    else:
        selector = FacilityLocationSelection(chosen, metric="precomputed")
    optimizer = LazyGreedy if what.endswith("lazy") else NaiveGreedy
    selector.optimizer = Timed(optimizer(function=selector))
    with Clock() as whole:
        selector.fit(data)
    return selector.ranking, selector.optimizer.clock, whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=instances.WHAT)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--chosen", type=int, required=True)
    args = parser.parse_args()
    source = instances.features if args.what == "feature-naive" else instances.similarity
    data = source(args.items)
    fit(args.what, data, args.chosen)
    ranking, _, whole = fit(args.what, data, args.chosen)
    print(f"ready {instances.digest(ranking)} {whole.cpu:.2f}", flush=True)
    for _ in sys.stdin:
        _, clock, _ = fit(args.what, data, args.chosen)
        print(f"round {clock.cpu} {clock.wall}", flush=True)


if __name__ == "__main__":
    main()
