"""Classic control and a race car."""
