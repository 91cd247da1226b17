"""The peers of multi-objective RL.

python -m benchmarks.morl setup     builds .cache/morl with the versions of peers.txt
python -m benchmarks.morl peer      C-MORL and morl-baselines by CPU seconds, each a process
"""

from __future__ import annotations

import argparse

from benchmarks.morl import fronts
from benchmarks.morl.setup import setup


def main(argv: list[str] | None = None) -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    commands.add_parser("setup").set_defaults(run=lambda arguments: setup())
    fronts.add_arguments(commands.add_parser("peer", help="fronts beside those of morl-baselines"))
    arguments = parser.parse_args(argv)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
