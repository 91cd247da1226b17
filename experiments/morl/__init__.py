"""Experiments of multi-objective RL."""
