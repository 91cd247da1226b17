"""Runs the checks of all theorems and writes theory/REPORT.md: `python -m theory.report [NAME ...]`.

A theorem is a file `theory/<folder>/thm_<number>_<name>.py` whose docstring states it, with `check()` and
`broken()`, both `-> theory.exact.result.Result`. It passes if its check holds and its control, the same check
of a deliberately wrong variant, does not.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jaxrl.core.errors import UsageError
from theory.exact.result import Result

FOLDER = Path(__file__).resolve().parent
REPORT = FOLDER / "REPORT.md"


class Check(NamedTuple):
    """name: "folder/thm_..."; title: first line of the file; result: of `check()`; control: of `broken()`."""

    name: str
    title: str
    result: Result
    control: Result

    @property
    def ok(self) -> bool:
        """The check holds and the control is rejected."""
        return self.result.ok and not self.control.ok


def names(select: Sequence[str] = ()) -> list[str]:
    """Theorems as "folder/thm_...", only those that contain a part from `select`, if there is any.

    Raises `UsageError` for a part that is in no name.
    """
    found = sorted(f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/thm_*.py"))
    for part in select:
        if not any(part in name for name in found):
            raise UsageError(f"select: {part!r} is in no theorem's name; there are {', '.join(found)}")
    return [name for name in found if not select or any(part in name for part in select)]


def run_checks(select: Sequence[str] = ()) -> list[Check]:
    """Runs the theorems of `names(select)`, in their order."""
    return [run_check(name) for name in names(select)]


def run_check(name: str) -> Check:
    """One theorem and its control."""
    module = importlib.import_module(f"theory.{name.replace('/', '.')}")
    return Check(name, (module.__doc__ or "").partition("\n")[0], module.check(), module.broken())


def markdown(checks: Sequence[Check]) -> str:
    """The report; no times, errors to one digit, and rounding hidden, so that it is reproducible."""
    rows = [_row(check) for check in checks]
    return "\n".join(
        [
            "# Checks of theorems",
            "",
            "Written by `python -m theory.report`. *measured* is the largest error of an identity, or the",
            "largest `left - right` of an inequality `left <= right`, over all instances; at most *bound*",
            "passes. *control* is the same for a deliberately wrong variant, which must be rejected.",
            "",
            "| theorem | statement | measured | bound | check | control | control is |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the theorems that `argv` names by parts, or all, and prints each as it ends; 0 if all pass.

    Only a run of all theorems writes the report.
    """
    parser = argparse.ArgumentParser(prog="theory", description="Run the checks of the theorems.")
    parser.add_argument("select", nargs="*", metavar="NAME", help="part of a theorem's name; default all")
    select = parser.parse_args(argv).select
    checks = []
    for name in names(select):
        checks.append(run_check(name))
        print(_line(checks[-1]), flush=True)
    if not select:
        REPORT.write_text(markdown(checks))
    return 0 if all(check.ok for check in checks) else 1


def _row(c: Check) -> str:
    return (
        f"| [{c.name}]({c.name}.py) | {c.title} | {_number(c.result.measured)} | {c.result.bound:.0e} "
        f"| {'pass' if c.result.ok else 'FAIL'} | {_number(c.control.measured)} "
        f"| {'FAIL: accepted' if c.control.ok else 'rejected'} |"
    )


def _line(check: Check) -> str:
    verdict = "pass" if check.ok else "FAIL" if not check.result.ok else "FAIL (control accepted)"
    return f"{verdict:5} {check.name}: {check.result.measured:.1e} <= {check.result.bound:.0e}"


def _number(x: float) -> str:
    return "< 1e-12" if abs(x) < 1e-12 else f"{x:.0e}"


if __name__ == "__main__":
    sys.exit(main())
