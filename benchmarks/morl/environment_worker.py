"""Our environments, served round by round.

python -m benchmarks.morl.environment_worker Minecart --envs 64 --steps 1000
"""

from __future__ import annotations

import argparse

from benchmarks.morl.environments import PEERS, program
from benchmarks.workers import serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--envs", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    args = parser.parse_args()
    run, carry, compiling = program(args.name, args.envs, args.steps)
    serve(lambda state: run(state[0]), (carry, None), f"compiled in {compiling.cpu:.1f} CPU-s")


if __name__ == "__main__":
    main()
