"""Benchmarks of reward-free exploration."""
