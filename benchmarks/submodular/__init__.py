"""Benchmarks of submodular RL."""
