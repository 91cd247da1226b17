"""PPO on CartPole: env steps per CPU-second, updates per second and compile time of one program.

python -m benchmarks.learning --updates 20 --rounds 5
"""

from __future__ import annotations

import argparse
from typing import Any

import jax

from benchmarks.measure import Entry, compile_ahead, emit, repeat
from jaxrl.baselines import ppo
from jaxrl.core.types import Algorithm
from jaxrl.envs.control.cartpole import CartPole

#: 64-64 tanh, 4 epochs, 4 minibatches, N = 64, T = 128: the settings at which peers are measured too
CONFIG = ppo.Config(n_envs=64, length=128, epochs=4, minibatches=4, widths=(64, 64), activation="tanh")
#: env steps per CPU-second that the design asks of one thread
FLOOR = 1e5
#: CPU seconds that the design allows for tracing and compiling one algorithm
CEILING = 15.0


def describe(config: ppo.Config) -> str:
    """The settings that decide the speed."""
    widths = "-".join(str(w) for w in config.widths)
    return (
        f"{widths} {config.activation}, {config.epochs} epochs, {config.minibatches} minibatches, "
        f"N={config.n_envs}, T={config.length}"
    )


def run_updates(algorithm: Algorithm, hyper: Any, updates: int) -> Any:
    """`(state, data) -> state`, `updates` updates as one scan."""

    def run(state: Any, data: Any) -> Any:
        return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, data)[0], None), state, length=updates)[0]

    return run


def measure(config: ppo.Config, updates: int, rounds: int) -> list[Entry]:
    """Three entries: env steps per CPU-second, updates per wall second, CPU seconds to compile."""
    env, hyper = CartPole(), ppo.Hyper()
    params = env.default_params()
    algorithm = ppo.make(config, env)
    init, _ = compile_ahead(algorithm.init, jax.random.key(0), hyper, params)
    state = init(jax.random.key(0), hyper, params)
    run, compiling = compile_ahead(run_updates(algorithm, hyper, updates), state, params, donate_argnums=0)
    _, clocks = repeat(lambda s: run(s, params), state, rounds)
    steps = config.n_envs * config.length * updates
    settings = describe(config)
    is_reference = config == CONFIG
    return [
        Entry.of(
            "PPO",
            "CartPole",
            [steps / c.cpu for c in clocks],
            "env steps / CPU-s",
            settings=settings,
            floor=FLOOR if is_reference else None,
        ),
        Entry.of("PPO", "CartPole", [updates / c.wall for c in clocks], "updates / s", settings=settings),
        Entry.of(
            "compile",
            "PPO CartPole",
            [compiling.cpu],
            "CPU-s",
            settings=settings,
            ceiling=CEILING if is_reference else None,
        ),
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--envs", type=int, default=CONFIG.n_envs)
    parser.add_argument("--length", type=int, default=CONFIG.length)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    config = ppo.Config(**{**CONFIG.__dict__, "n_envs": args.envs, "length": args.length})
    emit(measure(config, args.updates, args.rounds))


if __name__ == "__main__":
    main()
