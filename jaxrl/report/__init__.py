"""What shows: statistics, plots, tables, pages."""
