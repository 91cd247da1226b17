"""Exploration by HF-UCRL-RFE++: all seeds in one program, beside one seed of a plain numpy implementation.

python -m benchmarks.reward_free.exploration --episodes 40 --seeds 16 --rounds 3

Both run the same episodes on the same uniform numbers and candidate sets, from the beginning in every round.
Equal Gram matrices first.
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Clock, Entry, compile_ahead, emit
from benchmarks.reward_free import plain_hf
from jaxrl.core.prng import stream
from jaxrl.core.types import PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import random_mixture
from jaxrl.reward_free import hf
from jaxrl.reward_free.oracles import RANDOM_SETS

S, A, D, H, M = 20, 4, 8, 16, 4
C_BETA = 0.2
COMMANDS = [
    (
        True,
        ["--episodes", "40", "--rounds", "3"],
        ["--episodes", "5", "--seeds", "2", "--rounds", "1"],
    ),
]


def problem() -> tuple[PyTree, hf.Config, hf.Hyper]:
    """The mixture, and the learner's static and dynamic part."""
    mixture = random_mixture(jax.random.key(0), S, A, D)
    bound = float(jnp.linalg.norm(mixture.theta))
    return mixture, hf.Config(H, orders=M), hf.Hyper(horizon=H, c_beta=C_BETA, bound=bound)


def ours(mixture: PyTree, hyper: hf.Hyper, episodes: int, seeds: int) -> tuple[Any, PyTree, Clock]:
    """`(compiled, states [seeds, ...], compile time)`; seeds one after the other, as in lanes of width 1."""
    algorithm = hf.make(hf.Config(H, episodes, M), LinearMixture.of(mixture))
    hyper = jax.tree.map(jnp.asarray, hyper)
    keys = jax.random.split(jax.random.key(1), seeds)
    states = jax.jit(jax.vmap(lambda key: algorithm.init(key, hyper, mixture)))(keys)
    run, compiling = compile_ahead(
        lambda states: jax.lax.map(lambda state: algorithm.step(state, hyper, mixture)[0], states), states
    )
    return run, states, compiling


def drawn(config: hf.Config, key: jax.Array, episodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Uniform numbers `[K, H + 1]` and random sets `[K, n, S]` of one seed."""

    def of(k: jax.Array) -> tuple[jax.Array, jax.Array]:
        env, oracle = jax.random.split(stream(key, k))
        u = jax.random.uniform(env, (config.horizon + 1,), jnp.result_type(float))
        return u, jax.random.bernoulli(oracle, 0.5, (RANDOM_SETS, S)).astype(float)

    return tuple(np.asarray(x) for x in jax.vmap(of)(jnp.arange(episodes)))


def plain(mixture: PyTree, hyper: hf.Hyper, numbers: tuple[np.ndarray, np.ndarray]) -> plain_hf.Learner:
    """The numpy learner after the episodes of `drawn`."""
    learner = plain_hf.Learner(
        np.asarray(mixture.phi),
        np.asarray(mixture.mu0),
        H,
        M,
        hyper.c_beta,
        hyper.bound,
        hyper.delta,
        ratio=hyper.ratio,
        shadow=hyper.shadow,
        around=1,
    )
    theta = np.asarray(mixture.theta)
    for u, sets in zip(*numbers, strict=True):
        learner.episode(theta, u, sets)
    return learner


def compare(episodes: int, seeds: int, rounds: int) -> list[Entry]:
    """Episodes per CPU-second in turns; ends with an error where the Gram matrices differ."""
    with jax.enable_x64(True):
        mixture, config, hyper = problem()
        run, states, compiling = ours(mixture, hyper, episodes, seeds)
        numbers = drawn(config, states.key[0], episodes)
        gram = np.asarray(run(states).regressions.gram)[0, :, :, 0]
        given = (mixture, hyper, numbers)
        reference = plain(*given)
        apart = float(np.abs(gram / reference.gram - 1).max())
        if apart > 1e-6:
            raise SystemExit(f"the Gram matrices differ by a factor of 1 + {apart:.1e}")
        clocks: tuple[list[Clock], list[Clock]] = ([], [])
        for _ in range(rounds):
            for each, work in zip(clocks, (lambda: run(states), lambda: plain(*given)), strict=True):
                with Clock() as clock:
                    jax.block_until_ready(work())
                each.append(clock)
    rates = [[n / c.cpu for c in each] for n, each in zip((episodes * seeds, episodes), clocks, strict=True)]
    ratios = [a / b for a, b in zip(*rates, strict=True)]
    group, unit = "reward-free", "episodes / CPU-s"
    name = f"HF-UCRL-RFE++, S = {S}, A = {A}, d = {D}, M = {M}, H = {H}, first {episodes} episodes"
    plans = f"{reference.plans} plans in {episodes} episodes"
    settings = f"{seeds} seeds, float64, compiled once in {compiling.cpu:.1f} CPU-s; {plans}"
    same = f"largest relative difference of Gram matrices {apart:.0e}"
    return [
        Entry.of(group, f"{name}: jaxrl", rates[0], unit, settings=settings),
        Entry.of(group, f"{name}: plain numpy", rates[1], unit, settings=f"one seed; {same}"),
        Entry.of(group, f"{name}: jaxrl / numpy", ratios, "ratio", settings="by round", floor=10.0),
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    emit(compare(args.episodes, args.seeds, args.rounds))


if __name__ == "__main__":
    main()
