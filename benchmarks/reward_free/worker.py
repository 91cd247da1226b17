"""Our 1/n explorer, all seeds in one program, served round by round.

python -m benchmarks.reward_free.worker --states 25 --horizon 20 --episodes 100 --seeds 16
"""

from __future__ import annotations

import argparse
from typing import Any

import jax

from benchmarks.measure import Clock, compile_ahead
from benchmarks.reward_free import instances as instances
from benchmarks.workers import serve
from jaxrl.core.types import PyTree
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.reward_free.tabular import inverse_count


def program(S: int, horizon: int, episodes: int, seeds: int) -> tuple[Any, PyTree, Clock]:
    """`(compiled, states [seeds, ...], compile time)`; `compiled(states)` explores `episodes` more.

    Seeds run one after the other, as members do in lanes of width 1.
    """
    P = instances.tables(S)
    mdp = make_mdp(P, P.sum(-1) * 0)
    algorithm = inverse_count.make(inverse_count.Config(horizon), Tabular.of(mdp))
    hyper = jax.tree.map(jax.numpy.asarray, inverse_count.Hyper(horizon))

    def member(state: PyTree) -> PyTree:
        return jax.lax.fori_loop(0, episodes, lambda _, x: algorithm.step(x, hyper, mdp)[0], state)

    keys = jax.random.split(jax.random.key(0), seeds)
    states = jax.jit(jax.vmap(lambda key: algorithm.init(key, hyper, mdp)))(keys)
    run, compiling = compile_ahead(lambda states: jax.lax.map(member, states), states, donate_argnums=0)
    return run, states, compiling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--states", type=int, required=True)
    parser.add_argument("--horizon", type=int, required=True)
    parser.add_argument("--episodes", type=int, required=True)
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--wide", action="store_true", help="float64, as the peer")
    args = parser.parse_args()
    with jax.enable_x64(args.wide):
        run, states, compiling = program(args.states, args.horizon, args.episodes, args.seeds)
        precision = "float64" if args.wide else "float32"
        serve(run, states, f"{precision}, compiled once in {compiling.cpu:.1f} CPU-s")


if __name__ == "__main__":
    main()
