"""Experiments of reward-free exploration."""
