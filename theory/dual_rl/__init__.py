"""Theorems of dual RL and the exact solutions they stand on."""
