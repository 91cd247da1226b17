"""Reward-free exploration of linear mixture MDPs: HF-UCRL-RFE++, its predecessors and tabular relatives."""
