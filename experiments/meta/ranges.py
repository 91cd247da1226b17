"""Ranges of features in the records of the zoo: `python -m experiments.meta.ranges [NAME ..] [--dest DIR]`.

Each learned rule with features lives lifetimes of the task that it was trained on. The entry "met in
training" of its record says the least and the largest value of every feature there, and at which share of the
points of its certificate the feature lies beyond.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.meta import levels
from jaxrl.envs.base import Env
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.meta import zoo
from jaxrl.meta.ranges import met, outside

FIELD = "met in training"


def trained_on(entry: zoo.Entry) -> tuple[Env, tuple[int, int]]:
    """The environment of a rule's training, and its shortest and longest horizon; of a closed form those of
    the network that it was distilled from.
    """
    training: dict[str, Any] = entry.record["training"]
    if "distilled from" in training:
        return trained_on(zoo.load(training["distilled from"]))
    if entry.objective.slot == "drift":
        return CartPole(), (training["horizon"], training["horizon"])
    low, high = training["horizons"]
    return levels.environment("small", levels.OnLevels().limit), (low, high)


def facts(entry: zoo.Entry, lifetimes: int = 16) -> dict[str, Any]:
    """What the record says of a rule's ranges, `{}` for one without features."""
    if entry.objective.reads is None or not entry.objective.features:
        return {}
    env, horizons = trained_on(entry)
    seen = met(entry.objective, entry.phi, env, horizons, lifetimes=lifetimes)
    horizon = float(horizons[1] if entry.objective.slot == "drift" else 20)  # of the certificate
    predictions = entry.record["arguments"].get("predictions", 8)
    beyond = outside(entry.objective, entry.phi, seen, horizon, predictions)
    rows = zip(entry.objective.features, seen.low, seen.high, beyond, strict=True)
    return {
        "lifetimes": lifetimes,
        "horizons": list(horizons),
        "features": {
            name: {"range": [_short(low), _short(high)], "outside": _short(share)}
            for name, low, high, share in rows
        },
    }


def _short(x: float) -> float:
    return float(f"{x:.4g}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Amends the records and prints their paths."""
    parser = argparse.ArgumentParser(prog="python -m experiments.meta.ranges", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="rules of the zoo; all learned ones by default"
    )
    parser.add_argument(
        "--dest", default=str(zoo.FOLDER), help="folder of the files; the zoo's own by default"
    )
    options = parser.parse_args(arguments)
    learned = [name for name in zoo.names(options.dest) if name not in zoo.BY_HAND]
    for name in options.names or learned:
        found = facts(zoo.load(name, folder=options.dest))
        if found:
            print(zoo.note(name, {FIELD: found}, Path(options.dest)), flush=True)


if __name__ == "__main__":
    main()
