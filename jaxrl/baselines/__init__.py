"""Algorithms used by two or more families."""
