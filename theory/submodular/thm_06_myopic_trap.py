"""Credit to come walks past a small reward to a large one; myopic credit never does.

Statement. On a line with reward 1 beside the start and R at the far end, L steps away, nothing between, exact
gradient ascent from the uniform softmax policy with weights F(tau) - F(tau_{0:h}) converges to the optimum R.
With weights F(s_{h+1} | tau_{0:h}), or F(tau_{0:h+1}), it converges to 1.

Check. (L, R) = (3, 10) and (4, 10), 3,000 steps of rate 2 on J / max J: R - J is at most 0.01.
"""

from __future__ import annotations

from theory.exact.result import Result
from theory.submodular.ascent import climb
from theory.submodular.instances import Problem, trap

SIZES = ((3, 10.0), (4, 10.0))


def instance(length: int, reward: float) -> Problem:
    """The line of that length and reward."""
    return trap(length, reward)


def check(credit: str = "to_go") -> Result:
    """Largest gap to R, of J and of the decoded policy."""
    gaps = [reward - min(climb(instance(length, reward), credit, 3000)) for length, reward in SIZES]
    return Result(max(gaps), 0.01, max(gaps) <= 0.01)


def broken() -> Result:
    """The same ascent with marginal credit."""
    return check("marginal")
