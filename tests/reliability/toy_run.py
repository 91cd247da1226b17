"""One small run, in this process or as a script in another one, with faults on request.

python toy_run.py FOLDER [--cores N] [--kill POINT:UPDATE] [--signal NUMBER:UPDATE[:TIMES]] [--from WHICH]
                  [--debug-nan] [--process I:N:PORT]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "run"))

import jax
import numpy as np

from jaxrl.cli import execution
from jaxrl.core.errors import JaxrlError
from jaxrl.run import distributed
from jaxrl.run.checkpoint import Checkpoints
from jaxrl.run.folder import RunFolder, config_from_dict
from jaxrl.run.sweep import member_keys
from jaxrl.run.train import Trained, train
from tests.run import toy


@dataclass(frozen=True)
class Config:
    updates: int = 40
    members: int = 4
    width: int = 8
    lane: int = 1
    log_every: int = 4
    checkpoint_every: int = 10
    chunk: int | None = None
    lr: tuple[float, ...] | None = None
    poison: tuple[int, int] | None = None
    on_nonfinite: str = "freeze"
    float64: bool = False


def new_folder(root: Path, **fields: object) -> RunFolder:
    """A folder for `Config(**fields)`."""
    return RunFolder.create("toys/q", Config(**fields), root, "smoke")


def run(config: Config, folder: RunFolder | None = None, devices: int | None = None) -> Trained:
    """What an experiment does: train, save the result."""
    trained = train(
        toy.make(toy.Config(width=config.width, poison=config.poison)),
        member_keys(7, config.members),
        toy.hypers(config.members, None if config.lr is None else list(config.lr)),
        toy.data(config.members),
        updates=config.updates,
        folder=folder,
        evaluate=toy.evaluate,
        eval_every=10,
        log_every=config.log_every,
        checkpoint_every=None if folder is None else config.checkpoint_every,
        lane=config.lane,
        devices=None if devices is None else jax.devices()[:devices],
        on_nonfinite=config.on_nonfinite,
        shared_data=False,
        chunk=config.chunk,
        env_steps_per_update=100,
        progress=False,
        float64=config.float64,
    )
    if folder is not None:
        folder.save_result(digest=digest(trained), **{"last": trained.history["loss"][-1]})
    return trained


def digest(trained: Trained) -> str:
    """SHA-256 over every byte of state, history and failures."""
    found = hashlib.sha256()
    for path, x in jax.tree_util.tree_leaves_with_path(trained._asdict()):
        if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        x = np.asarray(distributed.fetch(x))
        found.update(f"{jax.tree_util.keystr(path)} {x.shape} {x.dtype}".encode() + x.tobytes())
    return found.hexdigest()


def _inject(kill: str | None, sent: str | None) -> None:
    """Wraps the moments at which a fault is to happen."""
    if kill is not None:
        point, update = kill.split(":")
        owner, name = {
            "log": (RunFolder, "log"),  # between two calls
            "manifest": (Checkpoints, "_write_manifest"),  # arrays written, manifest not
            "prune": (Checkpoints, "_prune"),  # saved, old ones not yet deleted
        }[point]
        _before(owner, name, int(update), lambda: os.kill(os.getpid(), signal.SIGKILL))
    if sent is not None:
        number, update, *times = (int(x) for x in sent.split(":"))
        raise_it = [lambda: signal.raise_signal(number)] * (times or [1])[0]
        _before(RunFolder, "log", update, lambda: [f() for f in raise_it])


def _before(owner: type, name: str, update: int, act) -> None:
    original = getattr(owner, name)
    due = [act]

    def wrapped(self, *args, **kwargs):
        if due and any(_update(a) >= update for a in args):
            due.pop()()
        return original(self, *args, **kwargs)

    setattr(owner, name, wrapped)


def _update(argument: object) -> int:
    """The update count in a metrics record, a step or a set of steps."""
    if isinstance(argument, dict):
        return argument.get("update", -1)
    if isinstance(argument, frozenset):
        return max(argument, default=-1)
    return argument if isinstance(argument, int) else -1


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--kill")
    parser.add_argument("--signal")
    parser.add_argument("--from", dest="start", default="latest")
    parser.add_argument("--debug-nan", action="store_true")
    parser.add_argument("--process")
    args = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", args.cores)
    if args.process:
        index, processes, port = (int(x) for x in args.process.split(":"))
        distributed.initialize(f"127.0.0.1:{port}", processes, index)
    _inject(args.kill, args.signal)
    folder = RunFolder.open(args.folder)
    folder.writes = distributed.is_primary()
    folder.resume_from = int(args.start) if args.start.isdigit() else args.start
    folder.debug_nan = args.debug_nan
    try:
        config = config_from_dict(Config, folder.config)
        with folder.session(), execution.precision(config):
            run(config, folder)
    except JaxrlError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
