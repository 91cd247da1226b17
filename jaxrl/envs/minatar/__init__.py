"""Four games on ten by ten cells, equal to those of MinAtar step by step (Young, Tian 2019, 1903.03176)."""
