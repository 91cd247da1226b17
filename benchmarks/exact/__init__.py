"""Benchmarks of the exact oracles."""
