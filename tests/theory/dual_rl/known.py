"""The reference MDP and what tests of its solutions share."""

from theory.dual_rl.reference import behaviour, reference_mdp, reference_problem
from theory.exact.optimal_control import solve
from theory.exact.policy_evaluation import evaluate_policy
from theory.exact.tables import tables

MDP, MU, PROBLEM = reference_mdp(), behaviour(), reference_problem()
T, BEST = tables(MDP), solve(MDP)
D_O, D_E, D_S = PROBLEM.d_o, PROBLEM.d_e, PROBLEM.d_s


def average(d):
    """E_d[r], which is 1 - gamma times the return."""
    return float((d * T.R).sum())


def value(policy):
    """The average reward of a policy, its return times 1 - gamma."""
    return 0.1 * evaluate_policy(MDP, policy).j
