"""Benchmarks of mean-field descent-ascent."""
