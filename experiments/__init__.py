"""Experiments: one file, one figure or table."""
