"""Dual RL: regularised policy learning as a convex programme over occupancies, solved in its dual."""
