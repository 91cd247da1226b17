"""Runs the checks of the theorems and writes a report per family: `python -m theory.report [NAME ...]`.

A theorem is a file `theory/<family>/thm_<number>_<name>.py` whose docstring states it, with `check()` and
`broken()`, both `-> theory.exact.result.Result`. It passes if its check holds and its control, the same check
of a deliberately wrong variant, does not. `theory/<family>/REPORT.md` holds the results of that family alone.
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


class Check(NamedTuple):
    """A theorem, its check and its control.

    name: "family/thm_..."; title: first line of the file; result: of `check()`; control: of `broken()`.
    """

    name: str
    title: str
    result: Result
    control: Result

    @property
    def ok(self) -> bool:
        """Whether the check holds and the control is rejected."""
        return self.result.ok and not self.control.ok


def names(select: Sequence[str] = ()) -> list[str]:
    """Theorems as "family/thm_...", only those that contain a part from `select`, if there is any.

    Raises `UsageError` for a part that is in no name.
    """
    found = sorted(f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/thm_*.py"))
    for part in select:
        if not any(part in name for name in found):
            raise UsageError(f"select: {part!r} is in no theorem's name; there are {', '.join(found)}")
    return [name for name in found if not select or any(part in name for part in select)]


def family(name: str) -> str:
    """The family of a theorem "family/thm_..."."""
    return name.partition("/")[0]


def report(of: str) -> Path:
    """The report of a family, whether it exists or not."""
    return FOLDER / of / "REPORT.md"


def run_checks(select: Sequence[str] = ()) -> list[Check]:
    """Runs the theorems of `names(select)`, in their order."""
    return [run_check(name) for name in names(select)]


def run_check(name: str) -> Check:
    """Runs one theorem and its control."""
    module = importlib.import_module(f"theory.{name.replace('/', '.')}")
    return Check(name, (module.__doc__ or "").partition("\n")[0], module.check(), module.broken())


def markdown(checks: Sequence[Check]) -> str:
    """The report of a family: no times, errors to one digit, rounding hidden, so that it is reproducible."""
    of = family(checks[0].name)
    return "\n".join(
        [
            f"# Checks of theorems: {of}",
            "",
            f"Written by `python -m theory.report {of}/`.",
            "*measured* is the largest error of an identity, or the largest `left - right` of an inequality",
            "`left <= right`, over all instances; at most *bound* passes.",
            "*control* is the same for a deliberately wrong variant, which must be rejected.",
            "",
            "| theorem | statement | measured | bound | check | control | control is |",
            "|---|---|---|---|---|---|---|",
            *map(_row, checks),
            "",
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the theorems that `argv` names by parts, or all, and prints each as it ends; 0 if all pass.

    The report of a family is written when all of its theorems have run, so that `submodular/` writes one and
    `thm_03` none.
    """
    parser = argparse.ArgumentParser(prog="theory", description="Run the checks of the theorems.")
    parser.add_argument("select", nargs="*", metavar="NAME", help="part of a theorem's name; default all")
    chosen, every = names(parser.parse_args(argv).select), names()
    passed = True
    for of in dict.fromkeys(map(family, chosen)):
        checks = []
        for name in (name for name in chosen if family(name) == of):
            checks.append(run_check(name))
            print(_line(checks[-1]), flush=True)
        if len(checks) == sum(family(name) == of for name in every):
            report(of).write_text(markdown(checks))
        passed = passed and all(check.ok for check in checks)
    return 0 if passed else 1


def _row(c: Check) -> str:
    file = c.name.partition("/")[2]
    return (
        f"| [{file}]({file}.py) | {c.title} | {_number(c.result.measured)} | {c.result.bound:.0e} "
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
