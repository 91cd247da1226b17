"""Training and pictures that the studies of moving bodies share: SubPO beside ModPO by PPO, measures, paths.

Legend: `A` learners (SubPO, ModPO), `M` seeds, `L` evaluations, `E` episodes, `S` visited states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.shared.medians import median_of
from experiments.submodular.efficiency import LEVEL, steps_to
from experiments.submodular.episodes import play
from jaxrl.baselines import ppo
from jaxrl.core.fields import Seed, Size, check_fields
from jaxrl.core.tree import tree_take
from jaxrl.core.types import Array, Key, Policy, PyTree, Step
from jaxrl.envs.base import Env, real
from jaxrl.envs.wrappers.set_reward import SetReward, SetState
from jaxrl.report import plots
from jaxrl.report.tables import Score
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from jaxrl.submodular import proximal

if TYPE_CHECKING:
    from jaxrl.run.folder import RunFolder

LEARNERS = ("SubPO", "ModPO")
Measure = Callable[[Array, Array, Array], dict[str, Array]]
"""`(F float[E] of whole episodes, their lengths int32[E], paths float[E, S, 2]) -> {name: float[]}`."""


class EitherParams(NamedTuple):
    """Parameters of a set reward and which of its two signals is paid.

    env, F: as in `SetParams`; modular: float[], 0 pays marginal gains (SubPO) and 1 own values (ModPO).
    """

    env: PyTree
    F: PyTree
    modular: Array


@dataclass(frozen=True)
class Either(SetReward):
    """A set reward whose switch `modular` is a parameter, so that one program trains both learners."""

    def extend(self, inner: PyTree) -> EitherParams:
        """Parameters that pay gains."""
        return EitherParams(*super().extend(inner), real(0.0))

    def advance(
        self, state: SetState, inner: PyTree, out: Step, params: EitherParams
    ) -> tuple[SetState, Step]:
        """The step of a set reward, with the gain replaced by the own value where the switch says so."""
        after, paid = super().advance(state, inner, out, params)
        own = self.own_value(params, inner)
        return after, paid._replace(reward=paid.reward + params.modular * (own - paid.info["gain"]))


def either(body: SetReward) -> Either:
    """`body`, paid gains, with the switch."""
    return Either(body.env, body.F, body.show_stat, on_top=body.on_top)


@dataclass(frozen=True)
class Config:
    """SubPO and ModPO with the same hyper-parameters and paired seeds, all in one compiled program."""

    algo: proximal.Config = field(default_factory=proximal.Config)
    """Static choices of PPO."""
    hyper: ppo.Hyper = field(default_factory=ppo.Hyper)
    """Hyper-parameters of PPO; `updates_total` is set to `updates`."""
    seeds: Size = 3
    """Members per learner; member i depends on the root seed and on i alone."""
    seed: Seed = 0
    """The root seed, in [0, 2^32)."""
    updates: Size = 100
    """Updates per member."""
    evaluations: Size = 10
    """Points of the learning curve after the untrained policy."""
    episodes: Size = 32
    """Episodes per evaluation, by the policy as it is trained, not by its mode."""

    def __post_init__(self) -> None:
        check_fields(self)


def run(
    config: Config, folder: RunFolder, body: SetReward, measure: Measure, inner: PyTree | None = None
) -> None:
    """Trains all members and saves their curves, and an episode of each last policy.

    Arrays: `learner [A]`, `update [L]`, `env_steps [L]`; per name n of `measure` `n [A, M, L]` and, before
    training, `untrained_n [M]`; of the episodes `path [A, M, S, 2]` and `seen [A, M, ...]`, the statistic at
    the end.

    body: paid gains; its observations begin with two coordinates. inner: parameters of the environment below
    the set reward; None for its own.
    """
    env, count = either(body), len(LEARNERS)
    data, hyper = env.default_params(), config.hyper.replace(updates_total=float(config.updates))
    data = data if inner is None else data._replace(env=inner)
    algorithm = proximal.make(config.algo, env)
    # those of the members, and after them as many for looking at policies
    keys = member_keys(config.seed, 2 * config.seeds)
    looks, paired = keys[config.seeds :], np.tile(np.arange(config.seeds), count)

    @jax.jit
    def look(key: Key, state: PyTree, data: EitherParams) -> tuple[dict[str, Array], PyTree, Array]:
        policy = algorithm.act(state, hyper, False)
        stat, length, path = episodes(env, policy, key, data, config.episodes, steps)
        return measure(jax.vmap(partial(body.F.value, data.F))(stat), length, path), stat, path

    def evaluate(key: Key, state: PyTree, hyper: Any, data: EitherParams) -> dict[str, Array]:
        return {f"eval/{name}": x for name, x in look(key, state, data)[0].items()}

    steps = int(env.time_limit(data))
    trained = train(
        algorithm,
        keys[paired],
        stack_hypers([hyper] * count, config.seeds),
        _members(data, config.seeds),
        updates=config.updates,
        evaluate=evaluate,
        eval_every=max(1, config.updates // config.evaluations),
        shared_data=False,
        env_steps_per_update=config.algo.n_envs * config.algo.length,
        labels=[f"{learner}, seed {i}" for learner in LEARNERS for i in range(config.seeds)],
        folder=folder,
    )
    names = [name for name in trained.history if name.startswith("eval/")]
    shown = np.isfinite(trained.history[names[0]]).any(1)
    update = trained.update[shown]
    arrays: dict[str, Any] = {"learner": LEARNERS, "update": update}
    arrays["env_steps"] = update * config.algo.n_envs * config.algo.length
    init = jax.jit(lambda key: algorithm.init(key, hyper, data))
    # both kinds of state on one device: otherwise `look` is compiled for each, and a slice of what is spread
    # over devices makes some wait for those that are busy with the last look
    here = partial(jax.device_put, device=jax.devices()[0])
    state = here(trained.state)
    before = [look(looks[i], here(init(keys[i])), data)[0] for i in range(config.seeds)]
    for name in names:
        short = name.removeprefix("eval/")
        arrays[short] = trained.history[name][shown].T.reshape(count, config.seeds, -1)
        arrays[f"untrained_{short}"] = np.stack([x[short] for x in before])
    last = [look(looks[p], tree_take(state, i), data) for i, p in enumerate(paired)]
    seen, path = (np.stack([x[n][0] for x in last]) for n in (1, 2))
    shape = count, config.seeds
    folder.save_result(
        **arrays,
        seen=seen.reshape(*shape, *seen.shape[1:]),
        path=path.reshape(*shape, *path.shape[1:]).astype(np.float32),
    )


def _members(data: EitherParams, seeds: int) -> EitherParams:
    """Leaves `[A * M, ...]`: gains for the seeds of the first learner, own values for those of the second."""
    both = [data._replace(modular=jnp.full_like(data.modular, a)) for a in range(len(LEARNERS))]
    return jax.tree.map(lambda *x: np.repeat(np.stack(x), seeds, axis=0), *both)


def episodes(
    env: Env, policy: Policy, key: Key, data: PyTree, count: int, steps: int
) -> tuple[PyTree, Array, Array]:
    """`(statistic [E, ...], length int32[E], path float[E, S, 2])` of `count` episodes.

    steps: S - 1, at least the time limit; a path stays where its episode ended.
    """
    first, last, batch = play(env, policy, key, data, count, steps)
    path = jnp.concatenate([first.obs[None, :, :2], batch.next_obs[..., :2]])
    return last.env_state.stat, last.elapsed, jnp.swapaxes(path, 0, 1)


def estimate(config: Config) -> dict[str, int]:
    """Members of both learners."""
    return {"members": len(LEARNERS) * config.seeds}


def progress(result: dict[str, np.ndarray], name: str, best: float) -> dict[str, Score]:
    """Steps until `name [A, M, L]` is 90 % of `best`, its growth in the last quarter of the evaluations in
    per cent, and the paired difference of the last values of both learners.
    """
    found, value = {}, result[name]
    before = -1 - value.shape[-1] // 4
    for a, learner in enumerate(result["learner"].tolist()):
        steps = steps_to(value[a], result["env_steps"], LEVEL * best)
        found[f"{learner}: steps to 90 %"] = median_of(steps)
        growth = 100 * (value[a, :, -1] / value[a, :, before] - 1)
        found[f"{learner}: growth in the last quarter, %"] = Score(growth, None, derived=True)
    difference = Score(value[0, :, -1] - value[1, :, -1], "more", derived=True)
    return {**found, f"SubPO minus ModPO: {name}": difference}


def curve(ax: Any, result: dict[str, np.ndarray], name: str, worst: float = 0.0) -> None:
    """Draws one measure over environment steps, with the untrained policy as a dotted line."""
    for a, learner in enumerate(result["learner"].tolist()):
        plots.learning_curve(
            ax,
            result["env_steps"],
            result[name][a],
            label=learner,
            color=plots.PALETTE[a],
            better="more",
            worst=worst,
        )
    level = float(np.mean(result[f"untrained_{name}"]))
    ax.axhline(level, color=plots.GREY, linewidth=0.8, linestyle=":", label="untrained policy")
    ax.set(xlabel="environment steps per member")
    ax.legend(fontsize=7.5)
