"""Mean-field minimax: functional saddle problems solved by two wide two-layer networks of particles."""
