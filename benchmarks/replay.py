"""The replay memory over three capacities: beside flashbax, and inside updates of SAC.

python -m benchmarks.replay memory --rows 1 --rounds 5   writes and draws, interleaved with flashbax
python -m benchmarks.replay memory --rows 256 --source constant --rounds 5   the same, equal numbers
python -m benchmarks.replay sac --rounds 5               updates of SAC on Pendulum
python -m benchmarks.replay sac --lane 8 --rounds 5      eight members as one batch, as the driver runs them

`memory` needs the peers' environment: python -m benchmarks.peers setup. Of the 7.3 CPU-us of a step with 256
rows and a capacity of 10,000, ours spends 3.6 on keys and the draw, 2.4 on joining the leaves of the new rows
and 1 on the scatter; selecting, padding or gathering in place of the concatenation took longer. flashbax has
one scatter per leaf, which reads the rows as they are, and nothing where all their numbers are equal
(`--source constant`).
"""

from __future__ import annotations

import argparse

from benchmarks.measure import Entry, emit, repeat
from benchmarks.peers import PEERS_PYTHON
from benchmarks.workers import Worker, interleave

CAPACITIES = (10_000, 100_000, 1_000_000)
COMMANDS = [
    (False, ["memory", "--rows", "1"], ["memory", "--rows", "1", "--steps", "20"]),
    (False, ["memory", "--rows", "256"], ["memory", "--rows", "256", "--steps", "20"]),
    (
        False,
        ["memory", "--rows", "256", "--source", "constant"],
        ["memory", "--rows", "256", "--source", "constant", "--steps", "20"],
    ),
    (True, ["sac"], ["sac", "--steps", "4"]),
    (True, ["sac", "--lane", "8"], ["sac", "--lane", "2", "--steps", "4"]),
]


def memory(capacity: int, rows: int, source: str, batch: int, steps: int, rounds: int) -> list[Entry]:
    """Steps per CPU-second of ours and of flashbax, and the ratios; a step writes `rows`, draws `batch`.

    source: where the numbers of a row come from, "memory", or "constant" for one number in all of them.
    """
    sizes = {"capacity": capacity, "rows": rows, "batch": batch, "steps": steps, "source": source}
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
    what = f"{rows} rows" if source == "memory" else f"{rows} rows of one number"
    name, unit, same = f"{what} into {capacity:,}", "steps / CPU-s", f"batch={batch}, 27 numbers a row"
    return [
        Entry.of("replay", f"{name}: jaxrl", rates[0], unit, settings=f"{same}; {ours.settings}"),
        Entry.of("replay", f"{name}: flashbax", rates[1], unit, settings=f"{same}; {theirs.settings}"),
        Entry.of("replay", f"{name}: jaxrl / flashbax", ratios, "ratio", settings="by round", floor=1.2),
    ]


def sac_updates(capacity: int, lane: int, steps: int, rounds: int) -> list[Entry]:
    """CPU milliseconds of an update of one SAC member with a memory of this capacity, `lane` as one batch."""
    import jax
    import numpy as np

    from jaxrl.baselines import sac
    from jaxrl.envs.control.pendulum import Pendulum
    from jaxrl.run.population import Members, Population
    from jaxrl.run.sweep import member_keys, stack_hypers

    env = Pendulum()
    config = sac.Config(n_envs=1, gradient_steps=1, batch_size=64, capacity=capacity, widths=(32, 32))
    hypers = stack_hypers([sac.Hyper(warmup=2)], lane)
    members = Members(
        sac.make(config, env),
        None,
        Population.create(lane, lane, jax.devices()[:1]),
        member_keys(0, lane),
        hypers,
        env.default_params(),
        shared_data=True,
        freeze=True,
    )
    state = members.init()
    carry = state, members.empty_window(state)
    _, clocks = repeat(lambda carry: members.advance(*carry, steps, np.bool_(True)), carry, rounds)
    times = [1e3 * clock.cpu / steps / lane for clock in clocks]
    name = f"SAC, {lane} members as one batch" if lane > 1 else "SAC"
    settings = "one update of one member, 32-32"
    return [Entry.of("replay", f"{name}, capacity {capacity:,}", times, "CPU-ms", settings=settings)]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("memory", "sac"))
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--source", choices=("memory", "constant"), default="memory")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lane", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    if args.what == "memory" and not PEERS_PYTHON.exists():
        raise SystemExit("the peers' environment is missing; run: python -m benchmarks.peers setup")
    for capacity in CAPACITIES:
        if args.what == "memory":
            emit(memory(capacity, args.rows, args.source, args.batch, args.steps or 2000, args.rounds))
        else:
            emit(sac_updates(capacity, args.lane, args.steps or 500, args.rounds))


if __name__ == "__main__":
    main()
