"""The replay memory over three capacities: beside flashbax, and inside updates of SAC.

python -m benchmarks.replay memory --rows 1 --rounds 5   writes and draws, interleaved with flashbax
python -m benchmarks.replay sac --rounds 5               updates of SAC on Pendulum

`memory` needs the peers' environment: python -m benchmarks.peers setup.
"""

from __future__ import annotations

import argparse

from benchmarks.measure import Entry, compile_ahead, emit, repeat
from benchmarks.peers import PEERS_PYTHON
from benchmarks.workers import Worker, interleave

CAPACITIES = (10_000, 100_000, 1_000_000)
COMMANDS = [
    (False, ["memory", "--rows", "1"], ["memory", "--rows", "1", "--steps", "20"]),
    (False, ["memory", "--rows", "256"], ["memory", "--rows", "256", "--steps", "20"]),
    (True, ["sac"], ["sac", "--steps", "4"]),
]


def memory(capacity: int, rows: int, batch: int, steps: int, rounds: int) -> list[Entry]:
    """Steps per CPU-second of ours and of flashbax, and the ratios; a step writes `rows`, draws `batch`."""
    sizes = {"capacity": capacity, "rows": rows, "batch": batch, "steps": steps}
    options = [text for key, value in sizes.items() for text in (f"--{key}", str(value))]
    with (
        Worker("benchmarks.worker_replay", "jaxrl", *options, one_core=True) as ours,
        Worker(
            "benchmarks.worker_replay", "flashbax", *options, python=PEERS_PYTHON, one_core=True
        ) as theirs,
    ):
        clocks = interleave((ours, theirs), rounds)
    rates = [[steps / clock.cpu for clock in column] for column in clocks]
    ratios = [one / other for one, other in zip(*rates, strict=True)]
    name, unit, same = f"{rows} rows into {capacity:,}", "steps / CPU-s", f"batch={batch}, 27 numbers a row"
    return [
        Entry.of("replay", f"{name}: jaxrl", rates[0], unit, settings=f"{same}; {ours.settings}"),
        Entry.of("replay", f"{name}: flashbax", rates[1], unit, settings=f"{same}; {theirs.settings}"),
        Entry.of("replay", f"{name}: jaxrl / flashbax", ratios, "ratio", settings="by round", floor=1.2),
    ]


def sac_updates(capacity: int, steps: int, rounds: int) -> list[Entry]:
    """CPU milliseconds of one update of SAC with a memory of this capacity."""
    import jax

    from jaxrl.baselines import sac
    from jaxrl.envs.control.pendulum import Pendulum

    env, hyper = Pendulum(), sac.Hyper(warmup=2)
    params = env.default_params()
    config = sac.Config(n_envs=1, gradient_steps=1, batch_size=64, capacity=capacity, widths=(32, 32))
    algorithm = sac.make(config, env)
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, params)

    def updates(state: sac.State) -> sac.State:
        return jax.lax.scan(
            lambda s, _: (algorithm.step(s, hyper, params)[0], None), state, None, length=steps
        )[0]

    run, _ = compile_ahead(updates, state, donate_argnums=0)
    _, clocks = repeat(run, state, rounds)
    times = [1e3 * clock.cpu / steps for clock in clocks]
    return [Entry.of("replay", f"SAC, capacity {capacity:,}", times, "CPU-ms", settings="one update, 32-32")]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("memory", "sac"))
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    if args.what == "memory" and not PEERS_PYTHON.exists():
        raise SystemExit("the peers' environment is missing; run: python -m benchmarks.peers setup")
    for capacity in CAPACITIES:
        if args.what == "memory":
            emit(memory(capacity, args.rows, args.batch, args.steps or 2000, args.rounds))
        else:
            emit(sac_updates(capacity, args.steps or 500, args.rounds))


if __name__ == "__main__":
    main()
