"""Theorems of multi-objective reinforcement learning by constrained extension of a Pareto front."""
