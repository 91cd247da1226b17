"""The 1/n explorer beside that of rlberry-scool, and plans for many rewards beside a loop over an oracle.

python -m benchmarks.reward_free setup            builds the peer's environment, .cache/rlberry
python -m benchmarks.reward_free peer             equal indices first, then episodes per CPU-second
python -m benchmarks.reward_free.tabular plan     1000 rewards on four rooms in one call, and one by one
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.measure import Clock, Entry, compile_ahead, emit, repeat
from benchmarks.reward_free import instances as instances
from benchmarks.workers import ROOT, Worker, interleave, make_environment
from jaxrl.envs.tabular.generators import four_rooms
from jaxrl.envs.tabular.mdp import time_indexed
from jaxrl.reward_free.tabular.counts import kernel, visits
from jaxrl.reward_free.tabular.inverse_count import optimistic
from jaxrl.reward_free.tabular.planning import plan
from theory.exact.optimal_control import solve

PEER = ROOT / ".cache" / "rlberry"
PEER_PYTHON = PEER / "bin" / "python"
GROUP = "reward-free"
AIMS = {25: 20.0, 100: 4.0, 200: 2.0}  # of the ratio of episodes per second
COMMANDS = [
    (
        False,
        ["peer", "--episodes", "50", "--rounds", "3"],
        ["peer", "--states", "25", "--episodes", "2", "--seeds", "2"],
    ),
    (True, ["plan"], ["plan", "--rewards", "8"]),
]


def setup() -> None:
    """Builds `.cache/rlberry`, an environment with the versions of `peers.txt`."""
    make_environment(PEER, Path(__file__).with_name("peers.txt"))


def difference(S: int, horizon: int, episodes: int) -> float:
    """The largest difference of the two indices, in float64, after equal transitions; counts per stage."""
    given = instances.transitions(S, horizon, episodes)
    counts = np.zeros((horizon, S, instances.ACTIONS, S), np.int32)
    for episode in given:
        for h, (s, a, x) in enumerate(episode):
            counts[h, s, a, x] += 1
    with jax.enable_x64(True):
        table = jnp.asarray(counts)
        ours = np.asarray(optimistic(visits(table), kernel(table), jnp.asarray(horizon), horizon))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.npy"
        words = ["--states", str(S), "--horizon", str(horizon), "--episodes", str(episodes)]
        command = [PEER_PYTHON, "-m", "benchmarks.reward_free.rlberry_worker", *words, "--parity", path]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        theirs = np.load(path)
    return float(np.abs(ours - theirs).max())


def compare(S: int, horizon: int, episodes: int, seeds: int, rounds: int) -> list[Entry]:
    """Episodes per CPU-second on one core, in turns; ends with an error where the indices differ."""
    if not PEER_PYTHON.exists():
        raise SystemExit("the peer's environment is missing; run: python -m benchmarks.reward_free setup")
    apart = difference(25, horizon, 20)
    if apart > 1e-10:
        raise SystemExit(f"the indices differ by {apart:.1e} after equal transitions")
    sizes = ["--states", str(S), "--horizon", str(horizon), "--episodes"]
    own = [*sizes, str(episodes), "--seeds", str(seeds)]
    plain = max(1, episodes * 25 // S // 100)  # a round of the loops in plain Python is long enough so
    module = "benchmarks.reward_free.rlberry_worker"
    with (
        Worker("benchmarks.reward_free.worker", *own, one_core=True) as ours,
        Worker("benchmarks.reward_free.worker", *own, "--wide", one_core=True) as wide,
        Worker(module, *sizes, str(episodes), "--numba", python=PEER_PYTHON, one_core=True) as theirs,
        Worker(module, *sizes, str(plain), python=PEER_PYTHON, one_core=True) as installed,
    ):
        workers = (ours, wide, theirs, installed)
        clocks = interleave(workers, rounds)
    counts = (episodes * seeds, episodes * seeds, episodes, plain)
    return summarise(S, horizon, clocks, counts, [worker.settings for worker in workers], seeds)


def summarise(
    S: int,
    horizon: int,
    clocks: list[list[Clock]],
    counts: tuple[int, ...],
    settings: list[str],
    seeds: int,
) -> list[Entry]:
    """Entries of `[ours, in float64, theirs compiled, as installed]`, the order of all three lists."""
    rates = [[n / c.cpu for c in rounds] for n, rounds in zip(counts, clocks, strict=True)]
    unit, name = "episodes / CPU-s", f"1/n explorer, S = {S}"
    same = f"A = {instances.ACTIONS}, H = {horizon}; equal indices on equal transitions"
    labels = ("jaxrl", "jaxrl, float64", "rlberry-scool, numba", "rlberry-scool as installed")
    entries = [
        Entry.of(GROUP, f"{name}: {label}", values, unit, settings=f"{same}; {text}")
        for label, values, text in zip(labels, rates, settings, strict=True)
    ]
    for label, values in zip(labels[:2], rates[:2], strict=True):
        ratios = [a / b for a, b in zip(values, rates[2], strict=True)]
        text = f"{seeds} seeds in one program, by round"
        floor = AIMS.get(S)
        entries.append(
            Entry.of(GROUP, f"{name}: {label} / numba", ratios, "ratio", settings=text, floor=floor)
        )
    return entries


def plans(rewards: int, rounds: int, horizon: int = 40) -> list[Entry]:
    """Plans per CPU-second on four rooms, in one call and by a loop over the exact oracle, in turns."""
    mdp = four_rooms()
    S, A = mdp.n_states, mdp.n_actions
    R = jax.random.uniform(jax.random.key(0), (rewards, horizon, S, A))
    run, compiling = compile_ahead(plan, mdp.P[None], R, horizon)
    few = max(1, rewards // 20)
    table = time_indexed(mdp, horizon)

    def loop(_: object) -> list:
        return [solve(table.replace(R=one)) for one in np.asarray(R[:few])]

    values = run(mdp.P[None], R, horizon)[1]
    exact = np.array([optimum.v[0] for optimum in loop(None)])
    if not np.allclose(values[:few], exact, rtol=1e-4, atol=1e-5):
        raise SystemExit("plans: the values of the two differ")
    one, many = [], []
    for _ in range(rounds):
        many.append(repeat(lambda _: run(mdp.P[None], R, horizon), None, 1)[1][0])
        with Clock() as clock:
            loop(None)
        one.append(clock)
    rates = [[rewards / c.cpu for c in many], [few / c.cpu for c in one]]
    ratios = [a / b for a, b in zip(*rates, strict=True)]
    name, unit = f"plans on four rooms, S = {S}, H = {horizon}", "plans / CPU-s"
    text = f"{rewards} rewards, float32, compiled once in {compiling.cpu:.1f} CPU-s"
    return [
        Entry.of(GROUP, f"{name}: one call", rates[0], unit, settings=text),
        Entry.of(
            GROUP, f"{name}: loop over theory.exact", rates[1], unit, settings=f"{few} rewards, float64"
        ),
        Entry.of(GROUP, f"{name}: one call / loop", ratios, "ratio", settings="by round", floor=10.0),
    ]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=("setup", "peer", "plan"))
    parser.add_argument("--states", type=int, nargs="+", default=list(AIMS))
    parser.add_argument("--horizon", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--rewards", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args(argv)
    if args.task == "setup":
        setup()
    elif args.task == "plan":
        emit(plans(args.rewards, args.rounds))
    else:
        for S in args.states:
            emit(compare(S, args.horizon, args.episodes, args.seeds, args.rounds))


if __name__ == "__main__":
    main()
