"""The command `jaxrl`: one function per command, each returning what `--json` prints.

Nothing heavy is imported before a command needs it: `--help`, `list` and an unknown name answer without jax.
Errors that a user can act on are one line on standard error and the exit code of their class.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jaxrl.cli import options, repository, results, running
from jaxrl.core.errors import JaxrlError, UsageError
from jaxrl.run import catalogue, terminal
from jaxrl.run.folder import installed_versions

COMMANDS: dict[str, Callable[[list[str], Path | None], Any]] = {
    "list": repository.list_experiments,
    "run": running.run,
    "sweep": running.sweep,
    "resume": running.resume,
    "report": results.report,
    "compare": results.compare,
    "export": results.export,
    "verify": results.verify,
    "figure": results.figure,
    "theory": repository.theory,
    "reproduce": repository.reproduce,
    "doctor": repository.doctor,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the console script; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    as_json = options.take_flag(args, "--json")
    code = 0
    with _stdout_for(as_json) as stdout:
        try:
            document = _dispatch(args)
        except SystemExit as stop:  # tyro: help (0) or a usage message (2), already printed
            code = stop.code if isinstance(stop.code, int) else 2
            document = {"error": "usage", "exit_code": code} if code else {}
        except JaxrlError as error:
            code, document = error.exit_code, {"error": str(error), "exit_code": error.exit_code}
            terminal.say(f"jaxrl: {error}")
        except BrokenPipeError:  # the reader, `| head` for example, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            document = {}
        except Exception as error:  # a fault of ours: a document all the same, and the traceback
            if not as_json:
                raise
            traceback.print_exc()
            code, document = 1, {"error": f"{type(error).__name__}: {error}", "exit_code": 1}
        except KeyboardInterrupt:
            code, document = 130, {"error": "interrupted", "exit_code": 130}
            terminal.say("jaxrl: interrupted")
        if as_json:
            terminal.say(json.dumps(document, indent=2, allow_nan=False), stdout)
    return code


def experiment_main(module_name: str) -> int:
    """`python -m experiments.<family>.<name> ...`, the same as `jaxrl run <family>/<name> ...`."""
    name = module_name.removeprefix("experiments.").replace(".", "/")
    return main(["run", name, *sys.argv[1:]])


def _dispatch(args: list[str]) -> Any:
    text = options.take_option(args, "--root")
    if not args or args[0] in ("-h", "--help"):
        print(_overview())
        return {"commands": list(COMMANDS)}
    if args[0] == "--version":
        version = installed_versions().get("jaxrl", "(not installed)")
        print(f"jaxrl {version}")
        return {"version": version}
    name, rest = args[0], args[1:]
    if name not in COMMANDS:
        raise UsageError(catalogue.unknown("command", name, COMMANDS) + "; `jaxrl --help` shows all")
    return COMMANDS[name](rest, None if text is None else Path(text))


def _overview() -> str:
    lines = (f"  {name:10} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items())
    return "\n".join(
        (
            "usage: jaxrl COMMAND ... [--root DIR] [--json]",
            "",
            *lines,
            "",
            "  --root DIR  parent of experiments/; by default the nearest one above the working directory",
            "  --json      standard output is exactly one JSON document",
            "  --version   show the version",
            "",
            "`jaxrl COMMAND --help` and `jaxrl run EXPERIMENT --help` say more.",
        )
    )


@contextlib.contextmanager
def _stdout_for(as_json: bool) -> Iterator[Any]:
    """The stream of the document; with `--json` all else, printed by C too, goes to standard error."""
    if not as_json or sys.stdout is None:
        yield io.StringIO() if as_json else sys.stdout
        return
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        document = os.fdopen(os.dup(saved), "w", encoding="utf-8")
        with document, contextlib.redirect_stdout(sys.stderr):
            yield document
    finally:
        os.dup2(saved, 1)
        os.close(saved)


if __name__ == "__main__":
    raise SystemExit(main())
