"""Files of the zoo from a run: `python -m experiments.meta.shipping RUN [--dest FOLDER]`.

RUN is the folder of a finished run of `meta/drift_objectives`. Of each arm the meta-seed whose mean was
best on the tasks of the choice is shipped, with what fresh lifetimes said about it; these had no part in
the choice. Of a run of `meta/schedules` the closed forms are written, with the return that each has less than
the network that it was distilled from.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from experiments.meta.rules import ARMS, CLOSED, HAND, best_clip
from jaxrl.core.errors import UsageError
from jaxrl.meta import zoo
from jaxrl.meta.certificates import certificate
from jaxrl.run.folder import RunFolder

STUDY, CLOSED_FORMS = "meta/drift_objectives", "meta/schedules"
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


def rules(folder: RunFolder) -> list[dict[str, Any]]:
    """Arguments of `zoo.save` for every arm, or every closed form, of a finished run.

    Raises:
        UsageError: the run is of another experiment.
    """
    if folder.experiment == CLOSED_FORMS:
        return closed_forms(folder)
    if folder.experiment != STUDY:
        raise UsageError(
            f"RUN: {folder.path} is a run of {folder.experiment}; take one of {STUDY}, {CLOSED_FORMS}"
        )
    result, config = folder.load_result(), folder.config
    hand = dict(zip(HAND, result["hand"], strict=True))
    best = best_clip(hand)
    found = []
    for i, code in enumerate(result["arm"].tolist()):
        arm = list(ARMS)[code]
        rule, arguments = SHIPPED[arm]
        seed = int(np.nan_to_num(result["fitness"][i], nan=-np.inf).max(axis=-1).argmax())
        arrays = _entries(rule, {k: result[k][i, seed] for k in ("W1", "w2", "schedule")})
        if "w2" in arrays:
            arguments = arguments | {"hidden": int(arrays["w2"].size)}
        returns = result["learned"][i, seed]
        about = {
            "command": f"jaxrl run {STUDY} {folder.preset}",
            "configuration": folder.meta["config_hash"],
            "certificate": _certificate(rule, arguments, arrays, float(config["updates"])),
            "training": {
                "environment": "CartPole",
                "horizon": config["updates"],
                "meta_seed": seed,
                "pairs": config["algo"]["pairs"],
                "generations": config["generations" if arm in config["plain"] else "refinements"],
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


def closed_forms(folder: RunFolder) -> list[dict[str, Any]]:
    """Arguments of `zoo.save` for the closed forms of a finished run of `meta/schedules`."""
    result, config = folder.load_result(), folder.config
    names, at = result["rule"].tolist(), result["horizon"].tolist().index(config["trained"])
    found = []
    for d, original in enumerate(config["distilled"]):
        coefficients = result["coefficients"][d]
        degree = max(k for k in range(coefficients.shape[-1]) if k == 0 or coefficients[..., k].any())
        arrays = {"coefficients": coefficients[..., : degree + 1], "scales": result["scales"][d]}
        returns = result["returns"][names.index(original + CLOSED), at].astype(np.float64)
        about = {
            "command": f"jaxrl run {CLOSED_FORMS} {folder.preset}",
            "configuration": folder.meta["config_hash"],
            "certificate": _certificate("ta_dpo", {"degree": degree}, arrays, float(config["trained"])),
            "training": {"distilled from": original, "unexplained": float(result["unexplained"][d])},
            "evaluation": {
                "return": _summary(returns),
                f"minus {original}": _summary(returns - result["returns"][names.index(original), at]),
            },
        }
        name = original.replace("lpo", "dpo")
        found.append(
            {
                "name": name,
                "rule": "ta_dpo",
                "arguments": {"degree": degree},
                "arrays": arrays,
                "about": about,
            }
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the files of a run's rules and prints their paths."""
    parser = argparse.ArgumentParser(prog="python -m experiments.meta.shipping", description=__doc__)
    parser.add_argument("run", metavar="RUN", help=f"folder of a finished run of {STUDY} or {CLOSED_FORMS}")
    parser.add_argument(
        "--dest", default=str(zoo.FOLDER), help="folder of the files; the zoo's own by default"
    )
    options = parser.parse_args(arguments)
    for entry in rules(RunFolder.open(options.run)):
        print(zoo.save(**entry, folder=Path(options.dest)))


if __name__ == "__main__":
    main()
