"""Explorers of continuous control: TD3 on a reward that is learned from what was visited; their controls."""
