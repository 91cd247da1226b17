"""Six sets of time inputs of a rule for targets, from scratch and from a blind rule that is trained.

A blind rule is evolved on small grid levels first. Then arms differ in the inputs that their mask lets
through, six of them, and in where they start: from scratch, or from the blind rule, with its state of Adam,
whose weights of time inputs are set to zero, so that at first all warm arms are the blind rule. Twelve arms
per meta-seed are members of one program, with shared levels, horizons, perturbations and keys. "None" is the
arm that goes on without the time. Warm arms have had twice the generations, so that rows compare within one
of the two starts only.

What is reported is the mean that was chosen on tasks of its own, on levels that neither training nor the
choice has seen, the same for all. Differences from "none" are paired by meta-seed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from experiments.meta.levels import OnLevels, environment
from jaxrl.core import spmd
from jaxrl.core.fields import Size
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Key, PyTree
from jaxrl.meta import evolution, lifetimes, lpg, targets
from jaxrl.meta.evaluation import evaluate_objective
from jaxrl.meta.objective import MASKS, TIME_INPUTS, Objective
from jaxrl.meta.zoo import Entry
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, sweep
from jaxrl.run.train import Trained, train

STARTS = ("from scratch", "warm")
READS = ("ir", "iz", "in")  # kernels of LPG's recurrence that read the inputs, those of the time last


@dataclass(frozen=True)
class Config(OnLevels):
    """The blind rule, the twelve arms, and the levels of their evaluation."""

    kind: Literal["REINFORCE", "LPG"] = "REINFORCE"
    """Rule: REINFORCE with a learned step, six numbers, or LPG. Paper: "LPG"."""
    algo: evolution.Config = field(
        default_factory=lambda: evolution.Config(pairs=32, lane=8, selection=64, select_every=10)
    )
    """Static choices of evolution."""
    evolve: evolution.Hyper = field(default_factory=lambda: evolution.Hyper(lr=0.06, sigma=0.3))
    """Hyper-parameters of evolution; warm arms go on at the learning rate at which the blind rule ended."""
    generations: Size = 40
    """Generations of the blind rule, and then of every arm."""
    evaluated: tuple[Size, ...] = (5, 20, 50)
    """Horizons of the evaluation, in updates."""
    held_out: Size = 128
    """Levels of the evaluation, a multiple of `together`."""
    seeds: Size = 3
    """Number of meta-seeds; seed i has the same keys in all arms."""


PRESETS = {
    "smoke": Config(
        levels="debug",
        limit=(5, 10),
        learner=lpg.Config(n_envs=2, length=6, predictions=2),
        algo=evolution.Config(pairs=2, selection=0),
        horizons=(2, 4),
        episodes=1,
        generations=3,
        evaluated=(3,),
        held_out=4,
        together=4,
        seeds=1,
    ),
    "quick": Config(),
    "lpg": Config(
        kind="LPG",
        algo=evolution.Config(pairs=32, lane=8, start="zero", selection=32, select_every=10),
        evolve=evolution.Hyper(lr=0.02, lr_decay=0.995, sigma=0.1),
        horizons=(5, 30),
        generations=80,
        seeds=2,
    ),
    "paper": Config(
        kind="LPG",
        algo=evolution.Config(pairs=64, lane=8, start="zero", selection=64, select_every=10),
        evolve=evolution.Hyper(lr=0.01, lr_decay=0.997, sigma=0.1),
        horizons=(10, 250),
        longest=250.0,
        generations=400,
        evaluated=(10, 50, 250, 1000),
        held_out=512,
        seeds=5,
    ),
}
BETTER = "more"


def rule(config: Config) -> Objective:
    """A rule that has all five time inputs."""
    options = {
        "inputs": TIME_INPUTS,
        "log_scale": config.log_scale,
        "longest": config.longest,
    }
    if config.kind == "REINFORCE":
        return targets.reinforce(**options)
    return targets.lpg(config.learner.predictions, width=config.width, bias=False, **options)


def run(config: Config, folder: RunFolder) -> None:
    """Saves the `kind` of rule, `mask` names, `horizon`, `returns [start, mask, S, N, levels]`, `blind [S, N,
    levels]`, and over generations `update [L]` and the mean fitness of the population, `fitness [start, mask,
    S, L]`.
    """
    env, objective = environment(config.levels, config.limit), rule(config)
    problem = lpg.search(
        config.learner, env, objective, config.hyper, config.horizons, episodes=config.episodes
    )
    algorithm = evolution.make(config.algo, problem, spmd.WORK)
    blind = sweep(
        lambda algo: algorithm,
        [(config.algo, config.evolve.replace(mask=MASKS["none"]))],
        seeds=config.seeds,
        seed=config.seed,
        data=(),
        updates=config.generations,
        env_steps_per_update=config.steps_per_generation(config.algo.pairs),
        folder=folder,
        stage="blind",
        work=1,
    )
    states = [member.state for member in blind]
    warm = [without_time((s.params, s.opt_state), config.kind) for s in states]
    trained = _arms(config, algorithm, warm, folder)
    shape = (len(STARTS), len(MASKS), config.seeds)
    key = stream(member_keys(config.seed, 2 * config.seeds + 1)[-1], 0)  # of no member
    live = partial(
        evaluate_objective,
        env=env,
        tasks=lifetimes.draw_tasks(env, 1, 1)(key, config.held_out),
        learner=config.learner,
        hyper=config.hyper,
        episodes=config.episodes,
        together=config.together,
    )

    def returns(phi: PyTree, mask: str) -> np.ndarray:
        entry = Entry(config.kind, objective, phi, {})
        return np.stack([live(entry, horizon=N, mask=MASKS[mask]) for N in config.evaluated])

    masks = [mask for _ in STARTS for mask in MASKS for _ in range(config.seeds)]
    chosen = jax.device_get(trained.state.best_params)
    found = [returns(jax.tree.map(lambda x, i=i: x[i], chosen), mask) for i, mask in enumerate(masks)]
    folder.save_result(
        kind=np.array(config.kind),
        mask=np.array(list(MASKS)),
        horizon=np.array(config.evaluated),
        returns=np.reshape(found, (*shape, len(config.evaluated), -1)).astype(np.float32),
        blind=np.array([returns(s.best_params, "none") for s in states], np.float32),
        update=trained.update,
        fitness=np.reshape(np.moveaxis(trained.history["fitness"], 1, 0), (*shape, -1)),
    )


def without_time(tree: PyTree, kind: str) -> PyTree:
    """Parameters of a rule, or what has their structure inside, with weights of time inputs zero."""

    def reads_time(path: tuple[Any, ...], x: Any) -> Any:
        names = {getattr(entry, "key", None) for entry in path}
        if kind == "REINFORCE":
            return x.at[1:].set(0) if jnp.ndim(x) else x
        return x.at[-len(TIME_INPUTS) :].set(0) if names & set(READS) and "kernel" in names else x

    return jax.tree_util.tree_map_with_path(reads_time, jax.tree.map(jnp.asarray, tree))


def beginning(algorithm: Algorithm) -> Algorithm:
    """Evolution that begins at the parameters and the state of Adam in `Hyper.fixed`."""

    def init(key: Key, hyper: evolution.Hyper, data: PyTree) -> evolution.State:
        params, opt_state = hyper.fixed
        state = algorithm.init(key, hyper, data)
        return state.replace(params=params, best_params=params, opt_state=opt_state)

    return algorithm._replace(init=init)


def _arms(config: Config, algorithm: Algorithm, warm: list[PyTree], folder: RunFolder) -> Trained:
    """Members in the order of `STARTS`, masks and meta-seeds, with keys that the blind rule did not have."""
    seeds = range(config.seeds)
    first = jax.vmap(lambda key: algorithm.init(key, config.evolve, ()))(
        member_keys(config.seed, config.seeds)
    )
    scratch = [jax.tree.map(lambda x, i=i: x[i], (first.params, first.opt_state)) for i in seeds]
    ended = config.evolve.lr * config.evolve.lr_decay**config.generations
    hypers = [
        config.evolve.replace(mask=mask, fixed=begins[i], lr=lr)
        for begins, lr in ((scratch, config.evolve.lr), (warm, ended))
        for mask in MASKS.values()
        for i in seeds
    ]
    keys = member_keys(config.seed, 2 * config.seeds)[config.seeds :]
    names = [f"{start}, {mask}, seed {i}" for start in STARTS for mask in MASKS for i in seeds]
    return train(
        beginning(algorithm),
        keys[np.tile(np.arange(config.seeds), len(STARTS) * len(MASKS))],
        _stacked(hypers),
        (),
        updates=config.generations,
        log_every=max(1, config.generations // 20),
        env_steps_per_update=config.steps_per_generation(config.algo.pairs),
        folder=folder,
        stage="arms",
        work=1,
        labels=names,
    )


def _stacked(hypers: list[evolution.Hyper]) -> evolution.Hyper:
    def rows(*x: Any) -> np.ndarray:
        made = np.stack([np.asarray(one) for one in x])
        return made if made.dtype.kind == "i" else made.astype(np.float32)

    return jax.tree.map(rows, *hypers)


def estimate(config: Config) -> dict[str, int]:
    """Members, programs and steps of training."""
    members = (1 + len(STARTS) * len(MASKS)) * config.seeds
    steps = members * config.generations * config.steps_per_generation(config.algo.pairs)
    return {"members": members, "compilations": 3, "env_steps": steps}


def scores(result: dict[str, np.ndarray]) -> dict[str, Score | np.ndarray]:
    """Returns by arm and differences from the arm without time, per meta-seed, means over levels.

    Rows of LPG begin with its name.
    """
    title = "LPG, " if result.get("kind") == "LPG" else ""
    masks, horizons = result["mask"].tolist(), result["horizon"].tolist()
    returns = result["returns"].mean(axis=-1)  # [start, mask, S, N]
    found: dict[str, Score | np.ndarray] = {
        f"{title}blind, before the arms: return": result["blind"].mean(axis=(-2, -1))
    }
    for start, by_mask in zip(STARTS, returns, strict=True):
        none = by_mask[masks.index("none")]
        for mask, values in zip(masks, by_mask, strict=True):
            found[f"{title}{start}, {mask}: return"] = values.mean(axis=-1)
            if mask != "none":
                difference = values - none
                label = f"{title}{start}, {mask} minus none"
                found[label] = Score(difference.mean(axis=-1), BETTER, derived=True)
                for N, at in zip(horizons, difference.T, strict=True):
                    found[f"{label}, N = {N}"] = Score(at, BETTER, derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Fitness of the populations over generations, and differences from the arm without time."""
    result = folder.load_result()
    masks = result["mask"].tolist()
    means = result["returns"].mean(axis=(-2, -1))
    with plots.paper():
        fig, axes = plots.subplots(1, 3, width=3.6)
        for axis, start, curves in zip(axes[0], STARTS, result["fitness"], strict=False):
            for i, (mask, seeds) in enumerate(zip(masks, curves, strict=True)):
                axis.plot(result["update"], seeds.mean(axis=0), color=f"C{i}", linewidth=1, label=mask)
            axis.set(title=start, xlabel="generation", ylabel="return of the population, mean of seeds")
        axes[0][0].legend()
        rows = [
            (f"{start}, {mask}", values - means[k, masks.index("none")])
            for k, start in enumerate(STARTS)
            for mask, values in zip(masks, means[k], strict=True)
            if mask != "none"
        ]
        plots.seed_dots(axes[0][2], [name for name, _ in rows], [values for _, values in rows])
        axes[0][2].set(xlabel="return minus that without time")
        return plots.save(fig, folder.figures / "input_ablation")
