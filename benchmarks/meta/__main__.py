"""The peers of learned objectives, and the speed of lifetimes.

python -m benchmarks.meta setup     builds .cache/meta with the versions of peers.txt
python -m benchmarks.meta lookups   lifetimes with lookups against the same with one-hot products
python -m benchmarks.meta lanes     lifetimes in lanes sorted by their horizon against a padded loop
"""

from __future__ import annotations

import argparse

from benchmarks.meta import lifetimes
from benchmarks.meta.setup import setup


def main(argv: list[str] | None = None) -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    commands.add_parser("setup").set_defaults(run=lambda arguments: setup())
    lifetimes.add_commands(commands)
    arguments = parser.parse_args(argv)
    arguments.run(arguments)


if __name__ == "__main__":
    main()
