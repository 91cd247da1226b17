"""Submodular RL: set functions of what has been visited, and policies that maximise them."""
