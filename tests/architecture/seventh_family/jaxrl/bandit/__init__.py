"""Stochastic bandits: the toy family of the seventh-family drill."""
