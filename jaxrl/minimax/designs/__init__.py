"""Data of benchmark problems, drawn in NumPy; where the published code draws likewise, its very numbers."""
