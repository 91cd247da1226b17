"""Wrappers: environments around an environment, one concept a file."""
