"""Speed of this library and of its installable peers, one command: `python -m benchmarks`."""
