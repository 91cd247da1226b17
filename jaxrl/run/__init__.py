"""Drivers, sweeps, checkpoints, logs, command line: the host side of a run."""
