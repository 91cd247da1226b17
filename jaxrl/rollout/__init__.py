"""Stepping batches of environments, and the estimators that read what came out."""
