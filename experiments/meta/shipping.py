"""Files of the zoo from a run: `python -m experiments.meta.shipping RUN [--dest FOLDER]`.

RUN is the folder of a finished run of `meta/drift_objectives` or `meta/grid_objectives`. Of each arm the
meta-seed whose mean was best on the tasks of the choice is shipped, with what fresh lifetimes said about it;
these had no part in the choice. Of a run of `meta/schedules` the closed forms are written, with the return
that each has less than the network that it was distilled from.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from experiments.meta import levels
from experiments.meta.rules import ARMS, CLOSED, HAND, best_clip
from jaxrl.core.errors import UsageError
from jaxrl.meta import zoo
from jaxrl.meta.certificates import Certificate, certificate
from jaxrl.meta.sensitivity import Sensitivity, sensitivity
from jaxrl.run.config import config_from_dict
from jaxrl.run.folder import RunFolder

STUDY, CLOSED_FORMS, GRIDS = "meta/drift_objectives", "meta/schedules", "meta/grid_objectives"
SHIPPED: dict[str, tuple[str, dict[str, Any]]] = {
    "LPO": ("lpo", {"initial": "plain"}),
    "TA-LPO": ("ta_lpo", {"initial": "plain"}),
    "LPO from PPO": ("lpo", {"initial": "ppo"}),
    "TA-LPO from PPO": ("ta_lpo", {"initial": "ppo"}),
    "scheduled PPO": ("scheduled_ppo", {}),
}


def name_of(arm: str, task: str = "cartpole") -> str:
    """The zoo's name of an arm of a study on a task."""
    return f"{arm.lower().replace('-', '_').replace(' ', '_')}_{task}"


def rules(folder: RunFolder) -> list[dict[str, Any]]:
    """Arguments of `zoo.save` for every arm, or every closed form, of a finished run.

    Raises:
        UsageError: the run is of another experiment.
    """
    if folder.experiment == CLOSED_FORMS:
        return closed_forms(folder)
    if folder.experiment == GRIDS:
        return for_targets(folder)
    if folder.experiment != STUDY:
        raise UsageError(
            f"RUN: {folder.path} is a run of {folder.experiment};"
            f" take one of {STUDY}, {CLOSED_FORMS}, {GRIDS}"
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
                "environment": config["environment"],
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
        task = config["environment"].lower()
        found.append(
            {
                "name": name_of(arm, task),
                "rule": rule,
                "arguments": arguments,
                "arrays": arrays,
                "about": about,
            }
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


def for_targets(folder: RunFolder) -> list[dict[str, Any]]:
    """Arguments of `zoo.save` for the rules for targets of a finished run of `meta/grid_objectives`."""
    result, whole = folder.load_result(), folder.config
    own = {field.name for field in dataclasses.fields(levels.OnLevels)}
    config = config_from_dict(levels.OnLevels, {k: v for k, v in whole.items() if k in own})
    names, horizons = result["arm"].tolist(), result["horizon"].tolist()
    shipped = result["best"].argmax(axis=-1)
    returns = {name: result["returns"][i, shipped[i]] for i, name in enumerate(names)}
    found = []
    for i, name in enumerate(names):
        kind, mask = levels.ARMS[name]
        of_kind = [other for other in names if levels.ARMS[other][0] == kind]
        flat, seed = result[kind][of_kind.index(name), shipped[i]], int(shipped[i])
        rule, arguments, arrays = _without_closed_inputs(config, kind, mask, flat)
        others = {"start": result["start"]}
        if "REINFORCE" in returns and name != "REINFORCE":
            others["REINFORCE"] = returns["REINFORCE"]
        evaluation = {
            f"N = {N}": {"return": _summary(returns[name][j], 4, "levels")}
            | {f"minus {k}": _summary(returns[name][j] - x[j], 4, "levels") for k, x in others.items()}
            for j, N in enumerate(horizons)
        }
        algo = whole["lpg_algo" if kind == "LPG" else "reinforce_algo"]
        about = {
            "command": f"jaxrl run {GRIDS} {folder.preset}",
            "configuration": folder.meta["config_hash"],
            "certificate": _certificate(rule, arguments, arrays, float(whole["counterfactual"])),
            "training": {
                "environment": f"GridWorld-{config.levels}, time limits of {config.limit} steps",
                "horizons": list(config.horizons),
                "meta_seed": seed,
                "pairs": algo["pairs"],
                "generations": whole["generations"],
                "generation of the mean": int(result["chosen"][i, seed]),
            },
            "evaluation": evaluation,
        }
        found.append(
            {
                "name": name_of(name, config.levels),
                "rule": rule,
                "arguments": arguments,
                "arrays": arrays,
                "about": about,
            }
        )
    return found


def _without_closed_inputs(
    config: levels.OnLevels, kind: levels.Kind, mask: str, flat: np.ndarray
) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """Rule, arguments and arrays; of a blind rule without the weights that its mask of zeros never used."""
    start = levels.rule(config, kind).init(jax.random.key(0))
    phi = zoo.learned(ravel_pytree(start)[1](jnp.asarray(flat)))
    aware = mask != "none"
    arguments: dict[str, Any] = {}
    if aware:
        arguments = {"inputs": list(levels.INPUTS), "log_scale": config.log_scale}
    if kind == "REINFORCE":
        return "reinforce", arguments, {"phi": np.asarray(phi["phi"])[: None if aware else 1]}
    arguments |= {"predictions": config.learner.predictions, "width": config.width, "bias": False}
    reads = {f"cell/{gate}/kernel" for gate in ("ir", "iz", "in")}
    rows = None if aware else -len(levels.INPUTS)
    whole = {name: np.asarray(x) for name, x in phi.items()}
    return "lpg", arguments, {name: x[:rows] if name in reads else x for name, x in whole.items()}


def _entries(rule: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the rule has of the evolved entries; a blind network has the first eight rows."""
    if rule == "scheduled_ppo":
        return {"schedule": arrays["schedule"]}
    rows = {"lpo": 8, "ta_lpo": 16}[rule]
    return {"W1": arrays["W1"][:rows], "w2": arrays["w2"]}


def _certificate(
    rule: str, arguments: dict[str, Any], arrays: dict[str, np.ndarray], horizon: float
) -> dict[str, Any]:
    own = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}
    objective = zoo.RULES[rule](**own)
    made = zoo.parameters(objective, {k: jnp.asarray(v) for k, v in arrays.items()})
    if objective.slot == "drift":
        facts: Certificate | Sensitivity = certificate(objective, made, horizon=horizon)
    else:
        predictions = arguments.get("predictions", 8)
        facts = sensitivity(objective, made, horizon=horizon, predictions=predictions)
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in facts._asdict().items()}


def _summary(values: np.ndarray, digits: int = 2, unit: str = "lifetimes") -> dict[str, float]:
    values = np.asarray(values, np.float64)
    return {
        "mean": round(float(values.mean()), digits),
        "standard_error": round(float(values.std(ddof=1) / values.size**0.5), digits),
        unit: values.size,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the files of a run's rules and prints their paths."""
    parser = argparse.ArgumentParser(prog="python -m experiments.meta.shipping", description=__doc__)
    known = f"{STUDY}, {CLOSED_FORMS} or {GRIDS}"
    parser.add_argument("run", metavar="RUN", help=f"folder of a finished run of {known}")
    parser.add_argument(
        "--dest", default=str(zoo.FOLDER), help="folder of the files; the zoo's own by default"
    )
    options = parser.parse_args(arguments)
    for entry in rules(RunFolder.open(options.run)):
        print(zoo.save(**entry, folder=Path(options.dest)))


if __name__ == "__main__":
    main()
