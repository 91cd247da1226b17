"""What weights of cloning select: temperature, permuted and uniform controls, signs, returns along episodes.

A value loss is trained as published. All rows of the data are then weighted once by its advantages in many
ways (the arms), and every set of weights is cloned anew: an arm differs from cloning in the rows it draws
and in nothing else. Legend: `K` tasks, `A` arms, `S` seeds, `n` rows, `G` kinds of advantages.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.dual_rl import tasks
from experiments.dual_rl.car import optimal_advantages
from experiments.dual_rl.tasks import World
from experiments.dual_rl.truth import simulated_advantage, states_at
from experiments.shared.paired import differences
from experiments.shared.standardised import Standardised
from jaxrl.baselines import bc
from jaxrl.cli.main import experiment_main
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, NonNegative, Seed, Share, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.types import Algorithm, Array, Key, PyTree, struct
from jaxrl.data.dataset import Dataset, dataset_hash
from jaxrl.data.episodes import episode_returns
from jaxrl.data.scores import Reference, normalised_score, reference_of
from jaxrl.dual_rl import agent, forms, implicit
from jaxrl.dual_rl.data import Data
from jaxrl.dual_rl.weighting import share_weight
from jaxrl.envs.base import Env
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.rollout.returns import gae, n_step
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import Member, sweep

CLONE = "all rows"


@dataclass(frozen=True)
class Config:
    """Tasks, the value loss, and the arms."""

    tasks: tuple[str, ...] = ("pendulum-medium-expert",)
    """Names of suites, as in `offline_rl`."""
    method: implicit.Name = "f-DVL chi2"
    """The value loss whose advantages weight the rows."""
    algo: agent.Config = field(default_factory=lambda: agent.Config(batch_size=128, widths=(64, 64)))
    """Static choices of the value loss; clones have the same batch."""
    clone_widths: tuple[Size, ...] = (64, 64)
    """Widths of the hidden layers of clones."""
    published_rates: bool = False
    """Whether the value loss learns as published, at rates of 3e-4 with tau 0.005, in place of the task's."""
    temperatures: tuple[NonNegative, ...] = (1.0, 3.0)
    """Inverse temperatures T of weights e^(T A), A the smaller of the twin critics' advantages."""
    shares: tuple[Share, ...] = (0.9, 0.5)
    """Effective shares of weights by every kind of advantage, and of the controls."""
    controls: bool = True
    """Whether rows are weighted by permuted weights of the critic, by advantages with the sign turned round,
    and as uniform subsets of the size of the share."""
    traces: tuple[Share, ...] = (0.9,)
    """Lambdas of the advantages along stored episodes."""
    steps: tuple[Size, ...] = (25,)
    """Numbers of steps of the rewards after which advantages along stored episodes take the value."""
    truth_rows: Count = 500
    """Rows at which advantages are compared with simulated ones, on the tasks whose environment can be set to
    a state (pendulum, mountaincar); 0 for none."""
    truth_steps: Size = 100
    """Steps of a simulated return."""
    optimal: bool = False
    """Whether rows are weighted by optimal advantages too, which are known of MountainCar alone."""
    episodes: Size | None = None
    """Episodes of each suite; None takes the number of the suite's recipe."""
    seeds: Size = 3
    """Critics per task, each with a clone per arm; all of them learn from the same data."""
    seed: Seed = 0
    """Root seed of members and data."""
    updates: Size = 2000
    """Updates of a critic and of a clone, multiplied by the `patience` of the task."""
    eval_episodes: Size | None = None
    """Episodes of the evaluation of greedy clones; None takes the number of each task."""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in self.tasks:
            tasks.task(name)
            if self.optimal and not name.startswith("mountaincar"):
                raise UsageError(f"Config.optimal: the optimal advantages of {name} are not known; use False")


PRESETS = {
    "smoke": Config(
        tasks=("maze2d-umaze",),
        algo=agent.Config(batch_size=16, widths=()),
        clone_widths=(),
        shares=(0.5,),
        temperatures=(1.0,),
        episodes=1,
        seeds=2,
        updates=10,
        eval_episodes=2,
    ),
    "quick": Config(),
    # ten times the episodes of the suite
    "large": Config(shares=(0.9, 0.5, 0.1), episodes=1000, updates=5000),
    "wide": Config(
        algo=agent.Config(batch_size=128, widths=(256, 256)), published_rates=True, updates=20_000
    ),
    "car": Config(
        tasks=("mountaincar-medium-replay",),
        algo=agent.Config(batch_size=64, widths=(64, 64)),
        temperatures=(30.0,),  # 3 at rewards of -1 a step, of which the task takes a tenth
        shares=(0.9, 0.6),
        optimal=True,
        truth_steps=200,
        updates=3000,
    ),
    "paper": Config(
        tasks=("pendulum-medium-expert", "mountaincar-medium-replay", "hopper-medium-expert"),
        temperatures=(0.3, 1.0, 3.0, 10.0),
        shares=(0.9, 0.7, 0.4, 0.1),
        traces=(0.0, 0.9, 1.0),
        steps=(5, 25, 100),
        seeds=6,
        updates=5000,
    ),
    # what `paper` and `quick` suggest, on data and members of another root seed than theirs
    "choice": Config(
        tasks=(
            "pendulum-medium-replay",
            "pendulum-medium-expert",
            "mountaincar-medium-replay",
            "maze2d-umaze",
        ),
        temperatures=(),
        shares=(0.9, 0.4),
        controls=False,
        traces=(0.9, 1.0),
        steps=(),
        truth_rows=0,
        seeds=10,
        seed=1,
        updates=5000,
    ),
}
BETTER = "more"


def run(config: Config, folder: RunFolder) -> None:
    """Saves `eval_return`, `share [K, A, S]`, `agreement [K, S]`, `likeness [K, G, S]`, `reference [K, 2]`.

    likeness: correlation of each kind of advantage with the simulated one, NaN where there is none.
    """
    names, kinds = arms(config), kinds_of(config)
    shape = len(config.tasks), len(names), config.seeds
    returns, share = np.full(shape, np.nan), np.full(shape, np.nan)
    agreement = np.full((shape[0], shape[2]), np.nan)
    likeness = np.full((shape[0], len(kinds), shape[2]), np.nan)
    data = {name: tasks.data_of(name, config.seed, config.episodes, folder) for name in config.tasks}
    folder.update_meta(datasets={name: dataset_hash(d) for name, d in data.items()})
    for k, (name, rows) in enumerate(data.items()):
        where = tasks.world(name)
        critics = _critics(config, folder, name, where, rows)
        advantages = _advantages(config, name, where, critics, rows)
        weights = np.stack([_weights(config, advantages, s) for s in range(config.seeds)], 1)
        share[k] = weights.mean(-1) ** 2 / (weights**2).mean(-1)
        agreement[k] = [tasks.last(m.history["agreement"]) for m in critics]
        found = _clones(config, folder, name, where, rows, weights)
        returns[k] = np.reshape([value for _, value in found], shape[1:])
        if where.env is not None and config.truth_rows:
            clones = [m for m, _ in found if m.index < config.seeds]
            likeness[k] = _likeness(config, name, where.env, clones, rows, advantages)
    folder.save_result(
        task=list(config.tasks),
        arm=names,
        kind=kinds,
        eval_return=returns,
        share=share,
        agreement=agreement,
        likeness=likeness,
        reference=[reference_of(d) for d in data.values()],
        data_return=[episode_returns(d).mean() for d in data.values()],
    )


def kinds_of(config: Config) -> list[str]:
    """Kinds of advantages: of the twin critics, by lambda-returns, by n-step returns, the optimal ones."""
    along = [*(f"lambda {trace:g}" for trace in config.traces), *(f"{n} steps" for n in config.steps)]
    return ["critic", "mean of critics", *along, *(["optimal"] if config.optimal else [])]


def arms(config: Config) -> list[str]:
    """Names of the sets of weights, in the order of `_weights`."""
    names = [CLONE, *(f"T {t:g}" for t in config.temperatures)]
    for share in config.shares:
        names += [f"{kind} share {share:g}" for kind in kinds_of(config)]
        if config.controls:
            names += [f"{kind} share {share:g}" for kind in ("permuted", "uniform", "sign turned")]
    return names


_share_weight = jax.jit(share_weight)  # one program for all kinds, shares and critics


def _weights(config: Config, advantages: dict[str, np.ndarray], seed: int) -> np.ndarray:
    """float64`[A, n]`, the weights of all rows by the advantages of one critic."""
    critic = advantages["critic"][seed]
    n, rng = critic.size, np.random.default_rng([config.seed, seed])

    def of_share(y: np.ndarray, share: float) -> np.ndarray:
        return np.asarray(_share_weight(y, np.full(n, 1 / n, np.float32), share), np.float64)

    found = [np.ones(n)]
    found += [np.minimum(np.exp(np.minimum(t * critic, 50.0)), 100.0) for t in config.temperatures]
    for share in config.shares:
        found += [of_share(advantages[kind][seed], share) for kind in kinds_of(config)]
        if config.controls:
            found += [
                rng.permutation(of_share(critic, share)),
                (rng.permutation(n) < share * n).astype(np.float64),
                of_share(-critic, share),
            ]
    return np.stack(found)


def _critics(config: Config, folder: RunFolder, name: str, where: World, data: Dataset) -> list[Member]:
    task, updates = tasks.task(name), tasks.task(name).patience * config.updates
    static, hyper = _static(config), task.hyper_of(config.method, updates)
    hyper |= {"lr_value": 3e-4, "lr_actor": 3e-4, "tau": 0.005} if config.published_rates else {}
    return sweep(
        lambda static: forms.algorithm(static, *where.spaces),
        [(static, forms.hyper(static, **hyper))],
        seeds=config.seeds,
        seed=config.seed,
        data=Data(data),
        updates=updates,
        log_every=max(1, updates // 6),
        folder=folder,
        stage=f"{name}-critic",
    )


def _static(config: Config) -> implicit.Config:
    return forms.config(
        config.method,
        batch_size=config.algo.batch_size,
        widths=config.algo.widths,
        activation=config.algo.activation,
        normalise_obs=config.algo.normalise_obs,
    )


def _advantages(
    config: Config, name: str, where: World, critics: list[Member], data: Dataset
) -> dict[str, np.ndarray]:
    """float32`[S, n]` of every kind, in units of scaled rewards."""
    task, parts = tasks.task(name), agent.parts(_static(config), *where.spaces, None, None)
    scale, gamma = task.hyper["reward_scale"], task.hyper["gamma"]

    @jax.jit
    def values(state: agent.State, data: Dataset) -> tuple[Array, Array, Array]:
        batch = parts.reader(state).read(state.key, data, None, rewards=False)
        v = parts.nets.v.apply
        twins = parts.nets.q(state.agent.target["q"], batch.x, batch.a)
        return twins, v(state.agent.params["v"], batch.x), v(state.agent.params["v"], batch.next_x)

    twins, here, there = (np.stack(x) for x in zip(*(values(m.state, data) for m in critics), strict=True))
    found = {"critic": twins.min(1) - here, "mean of critics": twins.mean(1) - here}
    found |= along_episodes(config, data, scale, gamma, here, there)
    if config.optimal:
        found["optimal"] = np.repeat(scale * optimal_advantages(data, gamma)[None], config.seeds, 0)
    return found


_gae, _n_step = jax.jit(gae), jax.jit(n_step, static_argnums=4)


def along_episodes(
    config: Config, data: Dataset, scale: float, gamma: float, here: np.ndarray, there: np.ndarray
) -> dict[str, np.ndarray]:
    """Advantages by lambda-returns and n-step returns of the stored episodes, float32`[S, n]` of each kind.

    here, there: values `[S, n]` of the rows' states and of their successors.
    """
    columns = (scale * data.reward, gamma * (1.0 - data.terminated), data.done)
    reward, discount, cut = (np.repeat(np.asarray(x)[:, None], len(here), 1) for x in columns)
    found = {}
    for trace in config.traces:
        found[f"lambda {trace:g}"] = np.asarray(_gae(reward, here.T, there.T, discount, cut, trace)).T
    for n in config.steps:
        found[f"{n} steps"] = np.asarray(_n_step(reward, there.T, discount, cut, n)).T - here
    return found


@struct.dataclass
class Weighted:
    """Rows, and the running sums `[A * S, n]` of the weights by which they are drawn."""

    rows: Dataset
    sums: Array


@struct.dataclass
class Drawn:
    """A clone's hyper-parameters, its seed, which all arms share, and its row of `Weighted.sums`.

    decay_updates: updates in which its learning rate falls to 0, as that of the policy of a value loss; 0 for
    never.
    """

    clone: bc.Hyper
    seed: Array
    row: Array
    decay_updates: Array


def _drawing(algorithm: Algorithm, batch_size: int) -> Algorithm:
    """Cloning of whole datasets as cloning of batches drawn by weights."""

    def init(key: Key, hyper: Drawn, data: Weighted) -> PyTree:
        return algorithm.init(stream(key, hyper.seed), hyper.clone, data.rows)

    def step(state: PyTree, hyper: Drawn, data: Weighted) -> tuple[PyTree, dict[str, Any]]:
        sums = data.sums[hyper.row]
        at = jax.random.uniform(stream(state.key, state.updates), (batch_size,)) * sums[-1]
        index = jnp.minimum(jnp.searchsorted(sums, at, side="right"), sums.size - 1)
        lr = agent.actor_rate(hyper.clone.lr, hyper.decay_updates, state.updates)
        return algorithm.step(state, hyper.clone.replace(lr=lr), data.rows.take(index))

    def act(state: PyTree, hyper: Drawn, greedy: bool) -> Any:
        return algorithm.act(state, hyper.clone, greedy)

    return Algorithm(init, step, act)


def _clones(
    config: Config, folder: RunFolder, name: str, where: World, data: Dataset, weights: np.ndarray
) -> list[tuple[Member, float]]:
    """Clones by weights `[A, S, n]`, one program for all, and the mean returns of their greedy policies.

    Clones of a seed begin with the same parameters, and all of them are evaluated from the same starts.
    """
    task, updates = tasks.task(name), tasks.task(name).patience * config.updates
    view = Standardised.of(data)
    static = bc.Config(batch_size=None, widths=config.clone_widths)
    algorithm = view.algorithm(_drawing(bc.make(static, *where.spaces), config.algo.batch_size or data.size))
    sums = np.cumsum(weights / weights.mean(-1, keepdims=True), -1)
    a, s, n = sums.shape
    hyper, decay = bc.Hyper(lr=task.hyper["lr_actor"]), np.float32(updates if task.decay else 0)
    members = [(static, Drawn(hyper, np.int32(row % s), np.int32(row), decay)) for row in range(a * s)]
    return tasks.trained(
        where,
        lambda _: algorithm,
        members,
        data=Weighted(view.data(data), jnp.asarray(sums.reshape(a * s, n), jnp.float32)),
        episodes=config.eval_episodes or task.eval_episodes,
        seeds=1,
        seed=config.seed,
        updates=updates,
        log_every=max(1, updates // 2),
        folder=folder,
        stage=f"{name}-clones",
    )


def _likeness(
    config: Config,
    name: str,
    env: Env,
    clones: list[Member],
    data: Dataset,
    advantages: dict[str, np.ndarray],
) -> np.ndarray:
    """float64`[G, S]`, correlations with Q - V of the greedy clone of all rows, simulated from the rows.

    NaN where the environment cannot be set to the state of a row.
    """
    found = np.full((len(advantages), config.seeds), np.nan)
    index = np.random.default_rng(config.seed).permutation(data.size)[: config.truth_rows]
    rows = data.take(jnp.asarray(index))
    states = states_at(env, np.asarray(rows.obs))
    if states is None:
        return found
    static = bc.Config(batch_size=None, widths=config.clone_widths)
    view = Standardised.of(data)
    act = view.algorithm(bc.make(static, env.observation_space, env.action_space)).act
    gamma = tasks.task(name).hyper["gamma"]

    @jax.jit
    def truth(clone: PyTree, hyper: bc.Hyper, states: PyTree, rows: Dataset) -> Array:
        policy = act(clone, hyper, True)
        return simulated_advantage(env, policy, states, rows.obs, rows.action, gamma, config.truth_steps)

    for s, member in enumerate(clones):
        simulated = truth(member.state, member.hyper.clone, states, rows)
        for g, values in enumerate(advantages.values()):
            found[g, s] = np.corrcoef(values[s][index], simulated)[0, 1]
    return found


def estimate(config: Config) -> dict[str, int]:
    """Critics and clones of all tasks."""
    return {"members": len(config.tasks) * config.seeds * (1 + len(arms(config)))}


def scores(result: dict[str, np.ndarray]) -> dict[str, Any]:
    """Score of every arm and how far it is above cloning by pairs, agreement, and likeness to the truth."""
    found: dict[str, Any] = {}
    for k, task in enumerate(result["task"].tolist()):
        score = normalised_score(result["eval_return"][k], Reference(*result["reference"][k]))
        for arm, values in zip(result["arm"].tolist(), score, strict=True):
            found[f"{arm}, {task}"] = values
            if arm != CLONE:
                found |= differences(f"{arm} - {CLONE}", task, values, score[0])
        found[f"agreement of critics, {task}"] = result["agreement"][k]
        for kind, values in zip(result["kind"].tolist(), result["likeness"][k], strict=True):
            if np.isfinite(values).all():
                label, note = f"{kind} against the simulated, {task}", f"{len(values)} critics"
                found[label] = Score(values, "more", note=note, derived=True)
    return found


def figure(folder: RunFolder) -> list[Path]:
    """Score against effective share, every seed and the mean of an arm; cloning is the line."""
    result = folder.load_result()
    arm, count = result["arm"].tolist(), len(result["task"])
    groups = ["T", *result["kind"].tolist(), "permuted", "uniform", "sign turned"]
    groups = [group for group in groups if any(name.startswith(f"{group} ") for name in arm)]
    with plots.paper():
        fig, axes = plots.subplots(1, count, width=4.6, height=4.4)
        for k, (ax, task) in enumerate(zip(axes[0], result["task"].tolist(), strict=True)):
            score = normalised_score(result["eval_return"][k], Reference(*result["reference"][k]))
            ax.axhline(np.nanmean(score[0]), color=plots.GREY, linewidth=1.2, label="cloning of all rows")
            for number, group in enumerate(groups):
                color = plots.PALETTE[number % len(plots.PALETTE)]
                line = ("o-", "s--")[number // len(plots.PALETTE)]
                rows = [i for i, name in enumerate(arm) if name.startswith(f"{group} ")]
                x, y = result["share"][k][rows], score[rows]
                ax.plot(x.ravel(), y.ravel(), ".", color=color, alpha=0.35, markersize=4)
                order = np.argsort(x.mean(1))
                ax.plot(x.mean(1)[order], np.nanmean(y, 1)[order], line, color=color, label=group)
            ax.set(title=task, xlabel="effective share of the rows", ylabel="score" if k == 0 else "")
        axes[0, 0].legend(loc="upper left", bbox_to_anchor=(0.0, -0.16), ncols=3, fontsize=7.5)
        return plots.save(fig, folder.figures / "weights")


if __name__ == "__main__":
    raise SystemExit(experiment_main(__spec__.name))
