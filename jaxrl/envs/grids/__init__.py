"""Grid worlds and mazes."""
