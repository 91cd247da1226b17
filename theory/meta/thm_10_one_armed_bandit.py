"""Whether to explore depends on how many pulls are left, so no rule blind to the horizon is optimal.

Statement. One arm pays 3/5 on average, which is known; the other has a success probability of prior Beta(1,
1). The best first pull is the known arm for N = 1, 2, 3 and the unknown one from N = 4 on. A rule whose
first pull does not depend on N is therefore not optimal for both N = 3 and N = 4.
(Bradt, Johnson and Karlin 1956, one-armed bandits of finite horizon.)

Check. Totals of both first pulls for N = 1 .. 20 by dynamic programming, against V_4 = 73/30, V_5 =
3.0866667, V_6 = 3.7409524, V_10 = 6.3690909, V_20 = 12.9901065; for N = 1 .. 10 against the tree of all
outcomes, in fractions.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from theory.exact.bandits import one_armed
from theory.exact.result import Result

KNOWN = Fraction(3, 5)
DIGITS = 5e-8  # numbers printed with seven decimals


def instance() -> dict[int, float]:
    """Known totals by horizon."""
    return {3: 1.8, 4: 73 / 30, 5: 3.0866667, 6: 3.7409524, 10: 6.3690909, 20: 12.9901065}


def enumerated(pulls: int, wins: int = 0, losses: int = 0) -> Fraction:
    """The best total, in fractions, by the tree of outcomes; the known arm teaches nothing, so it stays."""
    if pulls == 0:
        return Fraction(0)
    p = Fraction(1 + wins, 2 + wins + losses)
    explored = p * (1 + enumerated(pulls - 1, wins + 1, losses)) + (1 - p) * enumerated(
        pulls - 1, wins, losses + 1
    )
    return max(pulls * KNOWN, explored)


def check(totals: Callable[[float, int], tuple[float, float]] = one_armed) -> Result:
    """Errors of the totals, and 1 if the first horizon at which exploring is better is not 4."""
    known = instance()
    found = {N: totals(float(KNOWN), N) for N in range(1, 21)}
    errors = [abs(max(found[N]) - total) for N, total in known.items()]
    errors += [abs(max(found[N]) - float(enumerated(N))) for N in range(1, 11)]
    first = next((N for N, (commit, explore) in found.items() if explore > commit + 1e-12), 0)
    later = all(found[N][1] > found[N][0] for N in range(4, 21))
    measured = max(*errors, float(first != 4 or not later))
    return Result(measured, DIGITS, measured <= DIGITS)


def broken() -> Result:
    """An agent that does not learn from what it sees."""
    return check(lambda known, N: (N * known, 0.5 + (N - 1) * known))
