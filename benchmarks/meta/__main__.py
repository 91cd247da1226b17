"""The peers of learned objectives.

python -m benchmarks.meta setup     builds .cache/meta with the versions of peers.txt
"""

from __future__ import annotations

import argparse

from benchmarks.meta.setup import setup


def main(argv: list[str] | None = None) -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("setup",))
    parser.parse_args(argv)
    setup()


if __name__ == "__main__":
    main()
