"""Learned objectives: peers as oracles, and speed."""
