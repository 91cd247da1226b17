"""Files of the zoo from published results: `python -m experiments.meta.shipping` writes them anew.

Of each arm of a published meta-run the meta-seed whose mean was best on the tasks of the choice is shipped,
with what fresh lifetimes said about it; these had no part in the choice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.meta import drift_objectives
from jaxrl.data import safe
from jaxrl.meta import zoo
from jaxrl.meta.certificates import certificate
from jaxrl.run.config import config_hash

RESULTS = Path(__file__).with_name("results")
SHIPPED: dict[str, tuple[str, dict[str, Any]]] = {
    "LPO": ("lpo", {"initial": "plain"}),
    "TA-LPO": ("ta_lpo", {"initial": "plain"}),
    "LPO from PPO": ("lpo", {"initial": "ppo"}),
    "TA-LPO from PPO": ("ta_lpo", {"initial": "ppo"}),
    "scheduled PPO": ("scheduled_ppo", {}),
}


def name_of(arm: str) -> str:
    """The zoo's name of an arm of the CartPole study."""
    return f"{arm.lower().replace('-', '_').replace(' ', '_')}_cartpole"


def rules(preset: str = "short") -> list[dict[str, Any]]:
    """Arguments of `zoo.save` for every arm of the published result of a preset."""
    result = safe.read_npz(RESULTS / f"drift_objectives-{preset}.npz")
    config = drift_objectives.PRESETS[preset]
    hand = dict(zip(drift_objectives.HAND, result["hand"], strict=True))
    best = drift_objectives.best_clip(hand)
    found = []
    for i, code in enumerate(result["arm"].tolist()):
        arm = list(drift_objectives.ARMS)[code]
        rule, arguments = SHIPPED[arm]
        seed = int(np.nan_to_num(result["fitness"][i], nan=-np.inf).max(axis=-1).argmax())
        arrays = _entries(rule, {k: result[k][i, seed] for k in ("W1", "w2", "schedule")})
        if "w2" in arrays:
            arguments = arguments | {"hidden": int(arrays["w2"].size)}
        returns = result["learned"][i, seed]
        about = {
            "command": f"jaxrl run meta/drift_objectives {preset}",
            "configuration": config_hash(config),
            "certificate": _certificate(rule, arguments, arrays, float(config.updates)),
            "training": {
                "environment": "CartPole",
                "horizon": config.updates,
                "meta_seed": seed,
                "pairs": config.algo.pairs,
                "generations": config.generations if arm in config.plain else config.refinements,
            },
            "evaluation": {
                "return": _summary(returns),
                "minus no clip": _summary(returns - hand["no clip"]),
                f"minus {best}": _summary(returns - hand[best]),
            },
        }
        found.append(
            {"name": name_of(arm), "rule": rule, "arguments": arguments, "arrays": arrays, "about": about}
        )
    return found


def _entries(rule: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the rule has of the evolved entries; a blind network has the first eight rows."""
    if rule == "scheduled_ppo":
        return {"schedule": arrays["schedule"]}
    rows = {"lpo": 8, "ta_lpo": 16}[rule]
    return {"W1": arrays["W1"][:rows], "w2": arrays["w2"]}


def _certificate(
    rule: str, arguments: dict[str, Any], arrays: dict[str, np.ndarray], horizon: float
) -> dict[str, Any]:
    objective = zoo.RULES[rule](**arguments)
    made = zoo.parameters(objective, {k: jnp.asarray(v) for k, v in arrays.items()})
    facts = certificate(objective, made, horizon=horizon)
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in facts._asdict().items()}


def _summary(values: np.ndarray) -> dict[str, float]:
    return {
        "mean": round(float(values.mean()), 2),
        "standard_error": round(float(values.std(ddof=1) / values.size**0.5), 2),
        "lifetimes": values.size,
    }


if __name__ == "__main__":
    for entry in rules():
        print(zoo.save(**entry))
