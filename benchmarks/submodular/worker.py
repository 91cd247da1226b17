"""Our subset selection, served round by round.

python -m benchmarks.submodular.worker facility-lazy --items 2000 --chosen 100
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.measure import Clock, compile_ahead
from benchmarks.submodular import instances as instances
from benchmarks.workers import serve
from jaxrl.envs.sets.facility_location import FacilityLocation
from jaxrl.envs.sets.features import FeatureBased, features
from jaxrl.submodular.greedy import Selection, greedy, lazy_greedy


def program(what: str, items: int, chosen: int) -> tuple[Any, Any, Clock]:
    """`(compiled, parameters, compile time)`; `compiled(parameters) -> Selection`."""
    if what == "feature-naive":
        F, params = FeatureBased(items), features(instances.features(items))
    else:
        F, params = FacilityLocation(items), jnp.asarray(instances.similarity(items), jnp.result_type(float))
    choose = lazy_greedy if what.endswith("lazy") else greedy
    run, compiling = compile_ahead(lambda params: choose(F, params, jnp.arange(items), chosen), params)
    return run, params, compiling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=instances.WHAT)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--chosen", type=int, required=True)
    parser.add_argument("--wide", action="store_true", help="float64, as the peer")
    args = parser.parse_args()
    with jax.enable_x64(args.wide):
        run, params, compiling = program(args.what, args.items, args.chosen)
        found: Selection = run(params)
        words = f"{instances.digest(found.index)} {compiling.cpu:.2f} {int(found.evaluations)}"
        serve(lambda _: run(params), None, words)


if __name__ == "__main__":
    main()
