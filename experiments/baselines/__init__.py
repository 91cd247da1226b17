"""First experiments: the shared baselines on known environments."""
