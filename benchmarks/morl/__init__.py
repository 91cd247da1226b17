"""Benchmarks of multi-objective RL."""
