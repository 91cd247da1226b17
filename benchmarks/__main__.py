"""Every benchmark, one command: `python -m benchmarks` (`--quick` for tiny sizes, `--only sweep` for some).

Each row of `commands` is a process of its own, pinned to one core unless it is about several; its numbers go
to `results.json` as soon as they are there, and `RESULTS.md` is the table of that file. The persistent
compilation cache is off. A file below this folder joins by a literal `COMMANDS`, a list of
`(pinned to one core, arguments, arguments of --quick)`; `--rounds` is added where it does not stand there.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.measure import describe_machine, parse, pinned

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent


def commands(quick: bool) -> list[tuple[bool, list[str]]]:
    """`(pinned to one core, arguments of python -m)` per benchmark."""
    few = ["--rounds", "2"] if quick else ["--rounds", "5"]
    small = ["--envs", "8", "--steps", "16"] if quick else []
    physics = small or ["--envs", "64", "--steps", "200"]
    short = ["--envs", "8", "--length", "8", "--updates", "2"] if quick else []
    rows = [(True, ["startup", *few])]
    rows += [(True, ["stepping", name, *small, *few]) for name in ("CartPole", "Pendulum", "Acrobot")]
    grid = small or ["--envs", "256", "--steps", "200"]
    rows += [(True, ["stepping", name, *grid, *few]) for name in ("Tabular", "GridWorld-rand_small")]
    rows += [(True, ["stepping", f"brax {name}", *physics, *few]) for name in ("inverted_pendulum", "hopper")]
    rows += [(True, ["learning", *short, *few])]
    rows += [(False, ["peers", what, *short, *few]) for what in ("ppo", "random")]
    for name, one_core, full, tiny in registered():
        own = tiny if quick else full
        rows += [(one_core, [name, *own, *([] if "--rounds" in own else few)])]
    tiny = ["--members", "1", "4", "--work", "4", "--envs", "8", "--length", "8"] if quick else []
    rows += [(False, ["sweep", *tiny, *few])]
    return rows


def registered() -> list[tuple[str, bool, list[str], list[str]]]:
    """`(module, pinned, arguments, arguments of --quick)` of every row of a `COMMANDS`; imports nothing."""
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMMANDS":
                found += [
                    (".".join(path.relative_to(FOLDER).with_suffix("").parts), *row)
                    for row in ast.literal_eval(node.value)
                ]
    return found


def run(arguments: list[str], one_core: bool) -> list[dict[str, Any]]:
    """The entries of one benchmark, each with the command that repeats it."""
    command = [sys.executable, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]]
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    done = subprocess.run(
        pinned(command) if one_core else command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise SystemExit(f"benchmarks.{arguments[0]} failed with status {done.returncode}")
    return [asdict(entry) | {"command": shown(arguments, one_core)} for entry in parse(done.stdout)]


def shown(arguments: list[str], one_core: bool) -> str:
    """What a reader types to repeat a benchmark."""
    words = " ".join(f'"{word}"' if " " in word else word for word in arguments)
    prefix = " ".join(pinned([""])) if one_core else ""
    return f"{prefix}python -m benchmarks.{words}"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that everything runs")
    parser.add_argument("--only", help="commands that contain this word; the other results are kept")
    parser.add_argument(
        "--out", type=Path, default=table.FOLDER, help="folder of results.json and RESULTS.md"
    )
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "results.json"
    chosen = [row for row in commands(args.quick) if args.only is None or args.only in " ".join(row[1])]
    if not chosen:
        parser.error(f"--only {args.only}: no benchmark's command contains it")
    kept = (
        json.loads(path.read_text()) if args.only and path.exists() else {"quick": args.quick, "entries": []}
    )
    if kept["quick"] != args.quick:
        parser.error(
            f"--only: {path} holds {'quick' if kept['quick'] else 'full'} results; choose another --out"
        )
    # results of commands that are no more would never be measured again
    known = {shown(arguments, one_core) for one_core, arguments in commands(args.quick)}
    entries, machine = [e for e in kept["entries"] if e["command"] in known], describe_machine()
    for i, (one_core, arguments) in enumerate(chosen, 1):
        print(f"[{i}/{len(chosen)}] {' '.join(arguments)}", flush=True)
        began = time.perf_counter()
        found = run(arguments, one_core)
        keys = {(entry["group"], entry["name"], entry["unit"]) for entry in found}
        entries = [e for e in entries if (e["group"], e["name"], e["unit"]) not in keys] + found
        results = {"machine": machine, "quick": args.quick, "entries": entries}
        path.write_text(json.dumps(results, indent=1) + "\n")
        table.write(args.out)
        for entry in found:
            print(f"    {entry['name']}: {table.number(entry['value'])} {entry['unit']}", flush=True)
        print(f"    {time.perf_counter() - began:.0f} s", flush=True)
    print(f"table: {args.out / 'RESULTS.md'}")


if __name__ == "__main__":
    main()
