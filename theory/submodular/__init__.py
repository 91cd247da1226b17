"""Theorems of submodular reinforcement learning and the small problems they are checked on."""
