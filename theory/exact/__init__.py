"""Exact oracles in float64: linear solves, dynamic programming, linear programs."""
