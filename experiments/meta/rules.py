"""Arms of the CartPole study of drifts, and the rules made by hand that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from jaxrl.meta import drift
from jaxrl.meta.arms import Fixed
from jaxrl.meta.objective import mask_of

Arm = Literal["LPO", "TA-LPO", "LPO from PPO", "TA-LPO from PPO", "scheduled PPO"]
Rule = tuple[Fixed, tuple[float, ...]]  # what an arm has, and its mask

CLOSED = ", closed form"  # ends the label of a network that was distilled
BLIND, TIMED = mask_of(()), mask_of(("n/N",))
NETWORK = {"W1": 1.0, "w2": 1.0, "schedule": 0.0}
SCHEDULE = {"W1": 0.0, "w2": 0.0, "schedule": 1.0}
NOTHING = {"W1": 0.0, "w2": 0.0, "schedule": 0.0}
PLAIN, FROM_PPO = drift.Parts(xi=drift.XI), drift.Parts(ppo=1.0, xi=drift.XI)
ARMS: dict[str, Rule] = {
    "LPO": (Fixed(PLAIN, NETWORK), BLIND),
    "TA-LPO": (Fixed(PLAIN, NETWORK), TIMED),
    "LPO from PPO": (Fixed(FROM_PPO, NETWORK), BLIND),
    "TA-LPO from PPO": (Fixed(FROM_PPO, NETWORK), TIMED),
    "scheduled PPO": (Fixed(drift.Parts(ppo=1.0), SCHEDULE), TIMED),
}


def _by_hand(clip: float = 0.2, anneal: tuple[float, float, float] = (0.0, 0.0, 0.0), **own: float) -> Rule:
    return Fixed(drift.Parts(**{"ppo": 1.0} | own, clip=clip, anneal=anneal), NOTHING), BLIND


CLIPS = (0.05, 0.1, 0.2, 0.3, 0.5)
HAND: dict[str, Rule] = {
    "no clip": (Fixed(PLAIN, NOTHING), BLIND),
    **{f"PPO, clip {clip:g}": _by_hand(clip) for clip in CLIPS},
    "PPO, learning rate annealed": _by_hand(anneal=(1.0, 0.0, 0.0)),
    "PPO, clip and entropy annealed": _by_hand(anneal=(0.0, 1.0, 1.0)),
    "DPO": _by_hand(ppo=0.0, dpo=1.0),
}


def best_clip(hand: Mapping[str, np.ndarray]) -> str:
    """The constant clip with the largest mean on the lifetimes that it is compared on, which favours it."""
    return max((f"PPO, clip {c:g}" for c in CLIPS), key=lambda name: hand[name].mean())
