"""Experiments of dual RL."""
