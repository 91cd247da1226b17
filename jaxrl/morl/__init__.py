"""Multi-objective RL: C-MORL, a Pareto front by constrained extension."""
