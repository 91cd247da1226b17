"""Benchmarks of dual RL."""
