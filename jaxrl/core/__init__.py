"""Shared vocabulary: records, keys, trees, spaces, devices."""
