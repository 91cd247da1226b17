"""The unification as a table: a method is a tuple of choices, and nothing else tells methods apart.

    max_d  E_d[reward] - alpha D_f(d || reference)

solved in a dual variable, by one gradient mode, with one way from the solution to a policy. Every row can be
run where expectations are exact, on finite MDPs (`theory/dual_rl/solve.py`), and all but the exact form of
ReCOIL with networks on data: `Method.file` says by which file, `forms.py` leads there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from jaxrl.core.errors import UsageError, nearest
from jaxrl.dual_rl.divergences import Divergence, check_lambda, divergence
from jaxrl.dual_rl.objectives import EXPECTILE, GUMBEL, SQL, Maximiser, conjugate

File = Literal["implicit", "recoil", "dual_v", "dual_q"]


@dataclass(frozen=True)
class Method:
    """One row of the table."""

    name: str
    """Its key in `METHODS`."""
    dual: Literal["V", "Q"]
    """The dual variable: V of states or Q of pairs."""
    gradient: Literal["full", "semi", "orthogonal"]
    """full: through V(s) and V(s'). semi: through V(s) alone, first states being those of the data, as if d^O
    were a visitation. orthogonal: through V(s), and what of V(s') does not undo it."""
    reward: Literal["task", "zero", "log_ratio"]
    """task: the rewards of the data. log_ratio: log d^E(s) / d^S(s), from a discriminator."""
    reference: Literal["data", "suboptimal", "expert", "mixture"]
    """data d^O; suboptimal d^S; expert d^E; mixture beta d^E + (1 - beta) d^S, with the policy mixed with d^S
    likewise. ReCOIL as released takes the unlabelled data for d^S, and both distributions alike."""
    divergence: str | None
    """Key in the registry of divergences; None where the maximiser is the conjugate of none."""
    maximiser: Maximiser | None
    """The value loss of semi-gradient methods in V, else None, and f* of the divergence is used."""
    parameter: float
    """Default of the parameter: of the maximiser, else alpha, or beta of a mixture."""
    extraction: Literal["dual", "awr", "max"]
    """dual: weights of the dual solution on the reference. awr: weights min(e^(T y), 100). max: the policy
    over which a dual-Q is maximised."""

    @property
    def file(self) -> File | None:
        """The module of `jaxrl.dual_rl` that trains it with networks; None for the exact form of ReCOIL over
        V.

        That form says nothing off the expert's support, so that it is solved on tables alone.
        """
        if self.dual == "Q":
            return "dual_q"
        if self.maximiser is None:
            return None if self.reference == "mixture" else "dual_v"
        return "recoil" if self.released else "implicit"

    @property
    def released(self) -> bool:
        """Whether it is ReCOIL as released, whose Q has targets for both datasets."""
        return self.gradient == "semi" and self.reference == "mixture"

    @property
    def normalised(self) -> bool:
        """Whether the dual is log E e^y, where sum d = 1 is solved for: that of kl over V."""
        return self.dual == "V" and self.maximiser is None and self.divergence == "kl"

    @property
    def generator(self) -> Divergence:
        """The divergence itself; `UsageError` where there is none."""
        if self.divergence is None:
            raise UsageError(f"method: {self.name} belongs to no divergence; its weights are awr")
        return divergence(self.divergence)


_CHI2, _LITERAL, _EXACT = (conjugate("chi2", mode) for mode in ("relu", "literal", "exact"))
_TV, _KL, _KL_EXACT = conjugate("tv", "relu"), conjugate("kl_n", "relu"), conjugate("kl_n", "exact")

METHODS = {
    row.name: row
    for row in (
        Method("AlgaeDICE", "Q", "full", "task", "data", "chi2", None, 1.0, "max"),
        Method("CQL", "Q", "semi", "task", "data", "chi2", None, 1.0, "max"),
        Method("OptiDICE", "V", "full", "task", "data", "chi2", None, 1.0, "dual"),
        Method("ODICE", "V", "orthogonal", "task", "data", "chi2", None, 1.0, "dual"),
        Method("XQL", "V", "semi", "task", "data", "kl_n", GUMBEL, 1.0, "awr"),
        Method("EQL", "V", "semi", "task", "data", "kl_n", GUMBEL, 1.0, "dual"),
        Method("SQL", "V", "semi", "task", "data", "chi2", SQL, 1.0, "dual"),
        Method("f-DVL chi2", "V", "semi", "task", "data", "chi2", _CHI2, 0.8, "awr"),
        Method("f-DVL chi2 literal", "V", "semi", "task", "data", "chi2", _LITERAL, 0.8, "awr"),
        Method("f-DVL chi2 exact", "V", "semi", "task", "data", "chi2", _EXACT, 0.5, "awr"),
        Method("f-DVL kl", "V", "semi", "task", "data", "kl_n", _KL, 0.8, "awr"),
        Method("f-DVL kl exact", "V", "semi", "task", "data", "kl_n", _KL_EXACT, 0.5, "awr"),
        Method("f-DVL tv", "V", "semi", "task", "data", "tv", _TV, 0.8, "awr"),
        Method("IQL", "V", "semi", "task", "data", None, EXPECTILE, 0.9, "awr"),
        Method("SMODICE", "V", "full", "log_ratio", "suboptimal", "kl", None, 1.0, "dual"),
        Method("OPOLO", "Q", "full", "log_ratio", "suboptimal", "kl", None, 1.0, "max"),
        Method("ValueDICE", "Q", "full", "zero", "expert", "kl", None, 1.0, "max"),
        Method("IQ-Learn", "Q", "full", "zero", "expert", "chi2", None, 1.0, "max"),
        Method("ReCOIL", "V", "full", "zero", "mixture", "chi2", None, 0.5, "dual"),
        Method("ReCOIL-Q", "Q", "full", "zero", "mixture", "chi2", None, 0.5, "max"),
        Method("ReCOIL released", "V", "semi", "zero", "mixture", "chi2", GUMBEL, 1.0, "awr"),
    )
}
"""Every method by its name, most in their exact form; of ReCOIL the two exact forms and the released one.

CQL alternates what ATAC solves as a game of policy and Q: the same row. So are DemoDICE and SMODICE, which
differ in details of their code. IBC, the semi-gradient row of tv on the expert, is no row here: without the
bound |y| <= 1/2 its objective, linear in Q, has no minimum, and with it the policy is the expert's. f-DVL has
no exact row for tv, whose conjugate is infinite beyond 1/2.
"""


def check_parameter(row: Method, value: float) -> None:
    """Raises `UsageError` unless `value` can be the parameter of `row`. A host check of a number."""
    if row.maximiser is not None and not row.maximiser.tempered:
        if row.divergence is not None:
            check_lambda(row.divergence, value)
        elif not 0 < value < 1:
            raise UsageError(f"parameter: the level of {row.name} must lie in (0, 1), got {value}")
    elif row.reference == "mixture" and row.maximiser is None:
        if not 0 < value < 1:
            raise UsageError(f"parameter: beta of {row.name} must lie in (0, 1), got {value}")
    elif not 0 < value < math.inf:
        raise UsageError(f"parameter: the temperature of {row.name} must be positive, got {value}")


def method(name: str) -> Method:
    """The row called `name`; `UsageError` with the nearest one where there is none."""
    if name not in METHODS:
        raise UsageError(f"method: {name!r} is unknown; {nearest(name, METHODS)}")
    return METHODS[name]
