"""Tests, one folder a package; helpers are imported as `tests.<package>.<helper>`."""
