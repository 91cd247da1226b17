"""Generations of the CartPole study, by our evolution or by evosax around equal lifetimes, round by round.

python -m benchmarks.meta.study_worker ours | evosax [--pairs 16 --updates 40]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from benchmarks.measure import compile_ahead
from benchmarks.meta.setup import FOLDER
from benchmarks.workers import serve
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.meta import arms, drift, evolution, lifetimes
from jaxrl.meta.evaluation import LEARNERS

NETWORK = {"W1": 1.0, "w2": 1.0, "schedule": 0.0}
LR, SIGMA = 0.03, 0.1


def problem(updates: int) -> evolution.Problem:
    """Plain LPO of 32 units in the loop of the study."""
    config, _ = LEARNERS["drift"]
    env, rule = CartPole(), drift.family(32)
    run = lifetimes.lifetime(drift.learner(config, env, rule), env, episodes=8)
    return arms.problem(run, rule, lifetimes.draw_tasks(env, updates, updates))


def numbers() -> evolution.Hyper:
    """Hyper-parameters of the arm, blind."""
    fixed = arms.Fixed(drift.Parts(xi=drift.XI), NETWORK)
    hyper = evolution.Hyper(lr=LR, lr_decay=1.0, sigma=SIGMA, fixed=fixed)
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), hyper)


def ours(pairs: int, updates: int) -> tuple[Callable[[PyTree], PyTree], PyTree]:
    """`(generation, state)` of our evolution with centred ranks, one program."""
    config = evolution.Config(pairs=pairs, shaping="centred", selection=0)
    algorithm, hyper = evolution.make(config, problem(updates)), numbers()
    _, data = LEARNERS["drift"]
    state = algorithm.init(jax.random.key(0), hyper, data)
    step, _ = compile_ahead(lambda state: algorithm.step(state, hyper, data)[0], state)
    return step, state


def lived(made: evolution.Problem, pairs: int) -> Callable[[Array, Array], Array]:
    """`(candidates [2B, D], key) -> fitness [2B]`: tasks are drawn and shared by the two halves, as ours."""
    hyper, (_, data) = numbers(), LEARNERS["drift"]
    _, unravel = ravel_pytree(made.start(jax.random.key(0)))
    settings = evolution.Settings(hyper.mask, hyper.fixed)

    def fitness(candidates: Array, key: Array) -> Array:
        tasks = made.tasks(key, pairs)
        both = jnp.stack(jnp.split(candidates, 2), axis=1)

        def pair(phis: Array, task: lifetimes.Task) -> Array:
            return jax.vmap(lambda phi: made.fitness(unravel(phi), task, settings, data))(phis)

        return jax.vmap(pair)(both, tasks).T.ravel()

    return fitness


def theirs(pairs: int, updates: int) -> tuple[Callable[[Any], Any], Any]:
    """`(generation, carry)` of Open_ES: ask, the compiled lifetimes, tell; it minimises."""
    sys.path += [str(path) for path in FOLDER.glob("lib/python3.*/site-packages")]
    from evosax.algorithms import Open_ES

    made = problem(updates)
    start, _ = ravel_pytree(made.start(jax.random.key(0)))
    strategy = Open_ES(
        2 * pairs, start, optimizer=optax.adam(LR), std_schedule=optax.constant_schedule(SIGMA)
    )
    params = strategy.default_params
    state = strategy.init(jax.random.key(0), start, params)
    run, _ = compile_ahead(lived(made, pairs), jnp.zeros((2 * pairs, start.size)), jax.random.key(0))
    ask, tell = jax.jit(strategy.ask), jax.jit(strategy.tell)

    def generation(carry: Any) -> Any:
        state, key = carry
        key, k_ask, k_tasks, k_tell = jax.random.split(key, 4)
        population, state = ask(k_ask, state, params)
        state, _ = tell(k_tell, population, -run(population, k_tasks), state, params)
        return state, key

    return generation, (state, jax.random.key(3))


def main() -> None:
    """Serves generations of one of the two sides."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("side", choices=("ours", "evosax"))
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--updates", type=int, default=40)
    args = parser.parse_args()
    step, state = (ours if args.side == "ours" else theirs)(args.pairs, args.updates)
    serve(step, state, f"LPO of 32 units, {args.pairs} pairs, lifetimes of {args.updates} updates")


if __name__ == "__main__":
    main()
