"""What runs: driver, population, sweep, checkpoint, run folder, signals, processes."""
