"""Exact answers about mean-field minimax problems, and the theorems of their flows."""
