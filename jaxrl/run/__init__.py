"""The run layer: driver, population, sweep, checkpoint, run folder, signals, processes."""
