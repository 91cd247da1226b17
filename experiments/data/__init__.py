"""Datasets of our own: the agents that make them, and what they contain."""
