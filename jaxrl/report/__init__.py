"""Statistics, plots, tables and pages of finished runs."""
