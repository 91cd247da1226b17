"""The command line, and its commands as Python functions."""
