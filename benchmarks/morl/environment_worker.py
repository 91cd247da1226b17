"""Our environments, served round by round.

python -m benchmarks.morl.environment_worker Minecart --envs 64 --steps 1000
"""

from __future__ import annotations

from benchmarks.morl.environments import program, worker_arguments
from benchmarks.workers import serve


def main() -> None:
    args = worker_arguments(__doc__)
    run, carry, compiling = program(args.name, args.envs, args.steps)
    serve(lambda state: run(state[0]), (carry, None), f"compiled in {compiling.cpu:.1f} CPU-s")


if __name__ == "__main__":
    main()
