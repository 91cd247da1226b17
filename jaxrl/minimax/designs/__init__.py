"""Data of benchmark problems, drawn in NumPy so that they equal those of the papers number for number."""
