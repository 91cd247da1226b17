"""Theorems of reward-free exploration in linear mixture MDPs."""
