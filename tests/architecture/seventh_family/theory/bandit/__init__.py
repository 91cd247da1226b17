"""Theorems of stochastic bandits: the toy family of the seventh-family drill."""
