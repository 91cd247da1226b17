"""Theorems that every family stands on, each with a check that can fail."""
