"""Experiments of learned objectives."""
