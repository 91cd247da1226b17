"""jaxrl: reinforcement-learning theory and algorithms as pure JAX functions."""

__version__ = "0.1.0"
