"""Learned objectives that know the horizon: LPG, TA-LPG, LPO, TA-LPO, DPO, and how they are found."""
