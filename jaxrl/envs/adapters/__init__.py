"""Adapters to foreign environments; each imports its library lazily."""
