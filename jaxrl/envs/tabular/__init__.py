"""Finite MDPs and linear-mixture MDPs: records, environments, generators."""
