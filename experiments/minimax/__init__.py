"""Experiments of minimax estimation."""
