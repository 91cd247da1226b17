"""Datasets, replay, and the only readers of foreign files."""
