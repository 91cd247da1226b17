"""Tabular relatives of the family: explorers that plan on counts, and controls."""
