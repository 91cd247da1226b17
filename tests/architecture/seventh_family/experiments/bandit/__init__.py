"""Experiments of the bandit family."""
