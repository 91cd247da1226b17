"""Exploration by HF-UCRL-RFE++ or UCRL-RFE: all seeds in one program, beside one seed in plain numpy.

python -m benchmarks.reward_free.exploration --episodes 40 --seeds 16 --rounds 3
python -m benchmarks.reward_free.exploration --learner UCRL-RFE --episodes 40 --seeds 16 --rounds 3

Both run the same episodes on the same uniform numbers and candidate sets, from the beginning in every round.
Equal Gram matrices first.
"""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Clock, Entry, compile_ahead, emit
from benchmarks.reward_free import plain_hf, plain_rfe
from jaxrl.core.prng import stream
from jaxrl.core.types import PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import random_mixture
from jaxrl.reward_free import episodes as drawing
from jaxrl.reward_free import hf, ucrl_rfe
from jaxrl.reward_free.oracles import RANDOM_SETS

S, A, D, H, M = 20, 4, 8, 16, 4
C_BETA = 0.2
COMMANDS = [
    (
        True,
        ["--episodes", "40", "--rounds", "3"],
        ["--episodes", "5", "--seeds", "2", "--rounds", "1"],
    ),
    (
        True,
        ["--episodes", "300", "--rounds", "3"],
        ["--episodes", "5", "--seeds", "2", "--rounds", "1"],
    ),
    (
        True,
        ["--learner", "UCRL-RFE", "--episodes", "300", "--rounds", "3"],
        ["--learner", "UCRL-RFE", "--episodes", "5", "--seeds", "2", "--rounds", "1"],
    ),
]
MODULES: dict[str, ModuleType] = {"HF-UCRL-RFE++": hf, "UCRL-RFE": ucrl_rfe}


class Problem(NamedTuple):
    """What both sides are given: the mixture, and the learner's module, static and dynamic part."""

    mixture: PyTree
    module: ModuleType
    config: Any
    hyper: Any


def problem(learner: str, episodes: int) -> Problem:
    """A learner by name with `episodes` per update, on a random mixture."""
    mixture, module = random_mixture(jax.random.key(0), S, A, D), MODULES[learner]
    hyper = module.Hyper(horizon=H, c_beta=C_BETA, bound=float(jnp.linalg.norm(mixture.theta)))
    own = {"orders": M} if module is hf else {"inner": "ascent"}
    return Problem(mixture, module, module.Config(H, episodes, **own), hyper)


def ours(given: Problem, seeds: int) -> tuple[Any, PyTree, Clock]:
    """`(compiled, states [seeds, ...], compile time)`; seeds one after the other, as in lanes of width 1."""
    mixture, module, config, hyper = given
    algorithm = module.make(config, LinearMixture.of(mixture))
    hyper = jax.tree.map(jnp.asarray, hyper)
    keys = jax.random.split(jax.random.key(1), seeds)
    states = jax.jit(jax.vmap(lambda key: algorithm.init(key, hyper, mixture)))(keys)
    run, compiling = compile_ahead(
        lambda states: jax.lax.map(lambda state: algorithm.step(state, hyper, mixture)[0], states), states
    )
    return run, states, compiling


def drawn(given: Problem, key: jax.Array) -> list[tuple[np.ndarray, ...]]:
    """What the episodes of one seed draw: uniform numbers `[H + 1]`, and of HF random sets `[n, S]`."""

    def of(k: jax.Array) -> tuple[jax.Array, ...]:
        if given.module is ucrl_rfe:
            return (drawing.uniforms(key, k, H, jnp.int32(H), jnp.result_type(float)),)
        env, oracle = jax.random.split(stream(key, k))
        u = jax.random.uniform(env, (H + 1,), jnp.result_type(float))
        return u, jax.random.bernoulli(oracle, 0.5, (RANDOM_SETS, S)).astype(float)

    found = jax.vmap(of)(jnp.arange(given.config.episodes))
    return list(zip(*(np.asarray(x) for x in found), strict=True))


def plain(given: Problem, numbers: list[tuple[np.ndarray, ...]]) -> Any:
    """The numpy learner after the episodes of `drawn`."""
    mixture, module, _, hyper = given
    tables = (np.asarray(mixture.phi), np.asarray(mixture.mu0), H)
    radius = (hyper.c_beta, hyper.bound, hyper.delta)
    learner: Any
    if module is hf:
        schedule = {"ratio": hyper.ratio, "shadow": hyper.shadow}
        learner = plain_hf.Learner(*tables, M, *radius, around=1, **schedule)
    else:
        learner = plain_rfe.Learner(
            *tables, *radius, budget=hyper.budget, ratio=hyper.ratio, shadow=hyper.shadow
        )
    theta = np.asarray(mixture.theta)
    for each in numbers:
        learner.episode(theta, *each)
    return learner


def grams(state: PyTree) -> np.ndarray:
    """The Gram matrices of the first seed, as the numpy learners hold them."""
    if hasattr(state, "regressions"):
        return np.asarray(state.regressions.gram)[0, :, :, 0]
    return np.asarray(state.regression.gram)[0, 0]


def compare(learner: str, episodes: int, seeds: int, rounds: int) -> list[Entry]:
    """Episodes per CPU-second in turns; ends with an error where the Gram matrices differ."""
    with jax.enable_x64(True):
        given = problem(learner, episodes)
        run, states, compiling = ours(given, seeds)
        numbers = drawn(given, states.key[0])
        reference = plain(given, numbers)
        gram = grams(run(states))
        apart = float(np.abs(gram - reference.gram).max() / np.abs(reference.gram).max())
        if apart > 1e-6:
            raise SystemExit(f"the Gram matrices differ by {apart:.1e} of their largest entry")
        clocks: tuple[list[Clock], list[Clock]] = ([], [])
        for _ in range(rounds):
            for each, work in zip(clocks, (lambda: run(states), lambda: plain(given, numbers)), strict=True):
                with Clock() as clock:
                    jax.block_until_ready(work())
                each.append(clock)
    rates = [[n / c.cpu for c in each] for n, each in zip((episodes * seeds, episodes), clocks, strict=True)]
    ratios = [a / b for a, b in zip(*rates, strict=True)]
    group, unit = "reward-free", "episodes / CPU-s"
    orders = f", M = {M}" if given.module is hf else ""
    name = f"{learner}, S = {S}, A = {A}, d = {D}{orders}, H = {H}, first {episodes} episodes"
    plans = f"{reference.plans} plans in {episodes} episodes"
    settings = f"{seeds} seeds, float64, compiled once in {compiling.cpu:.1f} CPU-s; {plans}"
    same = f"largest difference of Gram matrices {apart:.0e} of their largest entry"
    return [
        Entry.of(group, f"{name}: jaxrl", rates[0], unit, settings=settings),
        Entry.of(group, f"{name}: plain numpy", rates[1], unit, settings=f"one seed; {same}"),
        Entry.of(group, f"{name}: jaxrl / numpy", ratios, "ratio", settings="by round", floor=10.0),
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--learner", choices=tuple(MODULES), default="HF-UCRL-RFE++")
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    emit(compare(args.learner, args.episodes, args.seeds, args.rounds))


if __name__ == "__main__":
    main()
