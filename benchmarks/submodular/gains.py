"""Set functions: subset selection beside apricot-select, and how many items per second each function takes.

python -m benchmarks.submodular.gains setup     builds the peer's environment, .cache/apricot
python -m benchmarks.submodular.gains peer      facility location and feature-based, 2,000 items, 100 chosen
python -m benchmarks.submodular.gains fold      gains of 500 trajectories of 40 places per CPU-second
"""

from __future__ import annotations

import argparse

import jax

from benchmarks.measure import Entry, compile_ahead, emit, repeat
from benchmarks.submodular.instances import WHAT
from benchmarks.workers import ROOT, Worker, interleave, make_environment
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.envs.coverage.gp_design import gp_design
from jaxrl.envs.coverage.item_collection import item_collection
from jaxrl.envs.sets.protocol import SetFunction

PEER = ROOT / ".cache" / "apricot"
PEER_PYTHON = PEER / "bin" / "python"
GROUP = "set functions"
COMMANDS = [
    (True, ["fold"], ["fold", "--items", "40", "--chosen", "4", "--envs", "4", "--length", "4"]),
    (False, ["peer"], ["peer", "--items", "40", "--chosen", "4", "--envs", "4", "--length", "4"]),
]


def setup() -> None:
    """Builds `.cache/apricot`, an environment with the versions of `peers.txt`."""
    make_environment(PEER, ROOT / "benchmarks" / "peers.txt")


def compare(what: str, items: int, chosen: int, rounds: int) -> list[Entry]:
    """Seconds per selection, on one core, in turns; ends with an error where the selections differ."""
    if not PEER_PYTHON.exists():
        raise SystemExit("no environment of the peer; run: python -m benchmarks.submodular.gains setup")
    words = [what, "--items", str(items), "--chosen", str(chosen)]
    with (
        Worker("benchmarks.submodular.worker", *words, one_core=True) as ours,
        Worker("benchmarks.submodular.worker", *words, "--wide", one_core=True) as wide,
        Worker("benchmarks.submodular.apricot_worker", *words, python=PEER_PYTHON, one_core=True) as theirs,
    ):
        clocks = interleave((ours, wide, theirs), rounds)
    said = [worker.settings for worker in (ours, wide, theirs)]
    return summarise(what, f"{items} items, {chosen} chosen", clocks, said)


def summarise(what: str, sizes: str, clocks: list[list], settings: list[str]) -> list[Entry]:
    """`clocks` and `settings` are `[ours, ours in float64, theirs]`."""
    chosen = {words.split()[0] for words in settings}
    if len(chosen) > 1:
        raise SystemExit(f"{what}: the selections differ: {settings}")
    seconds = [[clock.cpu for clock in rounds] for rounds in clocks]
    ratios = [theirs / ours for ours, _, theirs in zip(*seconds, strict=True)]
    compiling = [words.split()[1] for words in settings]
    same = f"{sizes}, equal selections"
    rows = (
        (f"{what}: jaxrl", seconds[0], f"{same}; float32, compiled once in {compiling[0]} CPU-s"),
        (f"{what}: jaxrl, float64", seconds[1], f"{same}; compiled once in {compiling[1]} CPU-s"),
        (f"{what}: apricot 0.6.1", seconds[2], f"{same}; a fit compiles anew: {compiling[2]} CPU-s in all"),
    )
    entries = [Entry.of(GROUP, name, values, "CPU-s", settings=text) for name, values, text in rows]
    ratio = Entry.of(GROUP, f"{what}: apricot / jaxrl", ratios, "ratio", settings="by round", floor=1.0)
    return [*entries, ratio]


def fold(rounds: int, envs: int, length: int) -> list[Entry]:
    """Items added per CPU-second, along `envs` trajectories of `length` places at once."""
    entries = []
    for name, env in (
        ("coverage 30 x 30", coverage_grid()),
        ("item collection", item_collection()),
        ("log det, 40 items", gp_design()),
    ):
        params = env.default_params().F
        places = jax.random.randint(jax.random.key(0), (length, envs), 0, env.env.env.n_places)
        run, _ = compile_ahead(jax.vmap(_gains(env.F), (None, 1)), params, places)
        _, clocks = repeat(lambda _, r=run, a=params, b=places: r(a, b), None, rounds)
        rates = [envs * length / clock.cpu for clock in clocks]
        entries.append(
            Entry.of(GROUP, f"fold: {name}", rates, "items / CPU-s", settings=f"{envs} x {length}")
        )
    return entries


def _gains(F: SetFunction):
    def along(params: PyTree, places: Array) -> Array:
        return jax.lax.scan(lambda stat, v: F.add(params, stat, v), F.init(params), places)[1]

    return along


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=("setup", "peer", "fold"))
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--chosen", type=int, default=100)
    parser.add_argument("--envs", type=int, default=500)
    parser.add_argument("--length", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    if args.task == "setup":
        setup()
    elif args.task == "fold":
        emit(fold(args.rounds, args.envs, args.length))
    else:
        for what in WHAT:
            emit(compare(what, args.items, args.chosen, args.rounds))


if __name__ == "__main__":
    main()
