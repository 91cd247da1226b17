"""Experiments of submodular RL."""
