"""Executable checks of theorems; `theory.exact` holds the float64 oracles."""
