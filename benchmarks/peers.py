"""Our library beside rejax and gymnax, in one interleaved run: ours, theirs, ours, theirs, ...

python -m benchmarks.peers setup               builds the peers' environment, .cache/peers
python -m benchmarks.peers ppo --rounds 7      PPO on CartPole
python -m benchmarks.peers random --rounds 7   random CartPole steps
"""

from __future__ import annotations

import argparse

from benchmarks.measure import Clock, Entry, emit
from benchmarks.workers import ROOT, Worker, interleave, make_environment

PEERS = ROOT / ".cache" / "peers"
PEERS_PYTHON = PEERS / "bin" / "python"
PEER = {"ppo": "rejax", "random": "gymnax"}


def setup() -> None:
    """Builds `.cache/peers`, an environment with the versions of `peers.txt`."""
    make_environment(PEERS, ROOT / "benchmarks" / "peers.txt")


def compare(what: str, sizes: dict[str, int], rounds: int) -> list[Entry]:
    """Runs both sides and summarises.

    what: "ppo" or "random"; sizes: `envs`, `length` and for PPO `updates`, the same for both.
    """
    if not PEERS_PYTHON.exists():
        raise SystemExit("the peers' environment is missing; run: python -m benchmarks.peers setup")
    options = [text for key, value in sizes.items() for text in (f"--{key}", str(value))]
    with (
        Worker("benchmarks.worker_jaxrl", what, *options, one_core=True) as ours,
        Worker("benchmarks.worker_rejax", what, *options, python=PEERS_PYTHON, one_core=True) as theirs,
    ):
        clocks = interleave((ours, theirs), rounds)
    return summarise(what, sizes, clocks, [ours.settings, theirs.settings])


def summarise(
    what: str, sizes: dict[str, int], clocks: list[list[Clock]], settings: list[str]
) -> list[Entry]:
    """Rates of ours and theirs, and the ratios of rates; `clocks` and `settings` are `[ours, theirs]`."""
    steps = sizes["envs"] * sizes["length"] * sizes.get("updates", 1)
    rates = [[steps / clock.cpu for clock in rounds] for rounds in clocks]
    ratios = [ours / theirs for ours, theirs in zip(*rates, strict=True)]
    name, peer, unit = f"{what}, CartPole", PEER[what], "env steps / CPU-s"
    same = ", ".join(f"{key}={value}" for key, value in sizes.items())
    floor = 1.0 if what == "ppo" else None
    return [
        Entry.of("peers", f"{name}: jaxrl", rates[0], unit, settings=f"{same}; {settings[0]}"),
        Entry.of("peers", f"{name}: {peer}", rates[1], unit, settings=f"{same}; {settings[1]}"),
        Entry.of("peers", f"{name}: jaxrl / {peer}", ratios, "ratio", settings="by round", floor=floor),
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("setup", "ppo", "random"))
    parser.add_argument("--envs", type=int)
    parser.add_argument("--length", type=int)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args(argv)
    if args.what == "setup":
        setup()
    elif args.what == "ppo":
        sizes = {"envs": args.envs or 64, "length": args.length or 128, "updates": args.updates}
        emit(compare("ppo", sizes, args.rounds))
    else:
        emit(compare("random", {"envs": args.envs or 256, "length": args.length or 1000}, args.rounds))


if __name__ == "__main__":
    main()
