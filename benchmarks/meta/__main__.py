"""The peers of learned objectives, and where their speed is measured.

python -m benchmarks.meta setup            builds .cache/meta with the versions of peers.txt
python -m benchmarks.meta.lifetimes lookups | lanes
python -m benchmarks.meta.costs population | drift | generation | remat
python -m benchmarks.meta.devices          one and two members on one and two devices
python -m benchmarks.meta.sphere           evolution on the sphere beside evosax
python -m benchmarks.meta.study            generations of the CartPole study beside evosax's ask and tell
"""

from __future__ import annotations

import argparse

from benchmarks.meta.setup import setup


def main(argv: list[str] | None = None) -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True)
    commands.add_parser("setup").set_defaults(run=setup)
    parser.parse_args(argv).run()


if __name__ == "__main__":
    main()
