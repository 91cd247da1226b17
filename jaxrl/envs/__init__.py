"""Environments: one pure-functional protocol, every environment of every family."""
