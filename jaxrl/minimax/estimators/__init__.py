"""Estimators of instrumental regression and of values that the minimax flow is compared with."""
