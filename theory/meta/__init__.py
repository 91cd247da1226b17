"""Theorems of learned objectives and of how they are found."""
