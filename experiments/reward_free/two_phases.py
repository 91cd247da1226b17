"""Two phases of deep exploration that experiments share: explore without rewards, then learn offline by task.

A learned explorer is TD3 on the reward of its module; two controls draw uniform actions, at every step or
held. What was visited is relabelled, and an offline learner learns from the rows of each explorer alone.
Legend: `E` explorers, `S` seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from experiments.shared.returns import offline_returns
from jaxrl.baselines import td3
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Count, Seed, Size, check_fields
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_stack, tree_take
from jaxrl.core.types import Algorithm, Array, Key, Policy, PyTree
from jaxrl.data.collect import uniform
from jaxrl.data.dataset import Dataset
from jaxrl.data.record import from_unroll
from jaxrl.envs.base import Env
from jaxrl.reward_free.explorers import apt, disagreement, gfa_rfe, rnd
from jaxrl.reward_free.explorers.held import held
from jaxrl.reward_free.explorers.learner import visited
from jaxrl.rollout.unroll import start, unroll
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import stack_hypers
from jaxrl.run.train import train

Explorer = Literal[
    "uniform",
    "held",
    "RND",
    "RND (fewer updates)",
    "RND (plain critics)",
    "RND (both)",
    "disagreement",
    "APT",
    "GFA-RFE",
    "GFA-RFE (released)",
]
Learner = Literal["TD3", "TD3+BC", "IQL", "f-DVL chi2", "ODICE"]
_GAMMA = 0.99  # of the offline learners, per step, as ExORL's
_member, _recorded = jax.jit(tree_take), jax.jit(from_unroll)  # one program each, not one per operation
_PER_UPDATE = 10  # gradient steps of TD3 offline in one update


class Method(NamedTuple):
    """A learned explorer, and what it changes in the common settings."""

    module: ModuleType
    config: dict[str, Any]
    hyper: dict[str, Any]


_FEWER, _PLAIN, _FAST = {"gradient_steps": 3}, {"layer_norm": False}, {"lr_actor": 1e-3}
METHODS: dict[str, Method] = {
    "RND": Method(rnd, {}, {}),
    "RND (fewer updates)": Method(rnd, _FEWER, {}),
    "RND (plain critics)": Method(rnd, _PLAIN, _FAST),
    "RND (both)": Method(rnd, _FEWER | _PLAIN, _FAST),
    "disagreement": Method(disagreement, {}, {}),
    "APT": Method(apt, {}, {}),
    "GFA-RFE": Method(gfa_rfe, {}, {}),
    "GFA-RFE (released)": Method(gfa_rfe, {"initial": "outputs"}, {}),
}
COMPARED = ("RND", "disagreement", "APT", "GFA-RFE", "GFA-RFE (released)")


@dataclass(frozen=True)
class Config:
    """Explorers, offline learners, and the lengths of both phases."""

    explorers: tuple[Explorer, ...] = ("uniform", "held", "RND")
    """Who collects the data. GFA-RFE (released) has the initial weights of the released code. RND with fewer
    updates makes 3 gradient steps per step of all environments; with plain critics it has no layer norm and
    a learning rate of 1e-3 for the actor; with both it has all of these."""
    learners: tuple[Learner, ...] = ("TD3",)
    """Who learns from the relabelled data: TD3, TD3 with behaviour cloning, or three methods of dual RL."""
    steps: Size = 50_000
    """Steps that every explorer makes, over all its environments."""
    n_envs: Size = 10
    """Number of environments of an explorer, which must divide `steps`."""
    gradient_steps: Size = 10
    """Gradient steps of an explorer per step of all its environments."""
    warmup: Count = 4000
    """First steps of an explorer, which act uniformly at random; URLB: 4000."""
    hold: Size = 100
    """Steps for which the held control keeps an action."""
    widths: tuple[Size, ...] = (64, 64)
    """Hidden units per layer of every network. ExORL: (1024, 1024)."""
    batch_size: Size = 128
    """Transitions per gradient step, in both phases. ExORL: 1024."""
    offline_steps: Size = 10_000
    """Gradient steps of the offline learners. ExORL: 500,000."""
    episodes: Size = 16
    """Episodes of the evaluation of each last policy, greedy."""
    seeds: Size = 3
    """Members per explorer, each with data of its own."""
    seed: Seed = 0
    """Root seed of the members, in [0, 2^32)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.steps % self.n_envs:
            raise UsageError(f"Config.n_envs: must divide steps {self.steps}, got {self.n_envs}")


def explored(config: Config, folder: RunFolder, env: Env, name: str, keys: Array) -> list[Dataset]:
    """What each member of the explorer `name` has seen."""
    params, updates = env.default_params(), config.steps // config.n_envs
    if name not in METHODS:
        policy = uniform(env) if name == "uniform" else held(env, config.hold)
        return [controlled(env, policy, key, params, config.n_envs, updates) for key in keys]
    method = METHODS[name]
    choices = {"gradient_steps": config.gradient_steps, "layer_norm": True} | method.config
    static = method.module.Config(
        n_envs=config.n_envs,
        batch_size=config.batch_size,
        capacity=config.steps,
        widths=config.widths,
        module_widths=config.widths,
        policy_delay=1,
        **choices,
    )
    rates = {"lr_actor": 1e-4, "lr_critic": 1e-3, "lr_module": 1e-3} | method.hyper
    hyper = method.module.Hyper(
        tau=0.01, exploration_noise=0.2, warmup=config.warmup // config.n_envs, **rates
    )
    trained = train(
        method.module.make(static, env),
        keys,
        stack_hypers([hyper], config.seeds),
        params,
        updates=updates,
        folder=folder,
        stage="explore-" + "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-"),
        env_steps_per_update=config.n_envs,
    )
    # members may be spread over devices, and rows of all explorers are stacked on one
    state = jax.device_put(trained.state, jax.devices()[0])
    return [visited(static, _member(state, i)) for i in range(config.seeds)]


def controlled(env: Env, policy: Policy, key: Key, params: PyTree, n_envs: int, length: int) -> Dataset:
    """`n_envs` times `length` steps of one policy, the end of the last episodes left out."""
    k_start, k_run = jax.random.split(stream(key, 1))
    vec = start(env, policy, k_start, params, n_envs)
    return _recorded(unroll(env, policy, vec, k_run, params, length=length)[1])


def learned(
    config: Config,
    folder: RunFolder,
    env: Env,
    learner: Learner,
    keys: Array,
    rows: Sequence[Dataset],
    task: str,
) -> np.ndarray:
    """Returns in `env` of the last policies, float[E, S], of one learner on relabelled data, E S of them."""
    count = len(config.explorers)
    data: Any = tree_stack([one.replace(meta=()) for one in rows])
    algorithm, hyper, data, per_update = _offline(config, env, learner, data)
    trained = train(
        algorithm,
        keys[np.tile(np.arange(config.seeds), count)],
        stack_hypers([hyper] * count, config.seeds),
        data,
        shared_data=False,
        updates=-(-config.offline_steps // per_update),
        evaluate=offline_returns(algorithm, env, config.episodes),
        folder=folder,
        stage="".join(c if c.isalnum() else "-" for c in f"{learner} {task}".lower()),
        labels=[f"seed {i} of {name}" for name in config.explorers for i in range(config.seeds)],
    )
    return trained.history["eval/return"][-1].reshape(count, config.seeds)


def _offline(
    config: Config, env: Env, learner: Learner, rows: Dataset
) -> tuple[Algorithm, PyTree, PyTree, int]:
    """The algorithm of a learner, its hyper-parameters, its data, and its gradient steps per update."""
    spaces = env.observation_space, env.action_space
    if learner not in ("TD3", "TD3+BC"):
        # the study compares with another family, and runs without it where none of its methods is asked for
        from jaxrl.dual_rl import forms
        from jaxrl.dual_rl.data import Data

        choice = forms.config(learner, batch_size=config.batch_size, widths=config.widths)
        return forms.algorithm(choice, *spaces), forms.hyper(choice, gamma=_GAMMA), Data(rows), 1
    static = td3.Config(
        gradient_steps=_PER_UPDATE,
        batch_size=config.batch_size,
        widths=config.widths,
        policy_delay=1,
        behaviour_cloning=learner == "TD3+BC",
    )
    hyper = td3.Hyper(lr_actor=1e-3, lr_critic=1e-3, tau=0.02, noise_clip=0.3, gamma=_GAMMA)
    return td3.make(static, *spaces), hyper, rows, _PER_UPDATE


def estimate(config: Config, tasks: int) -> dict[str, int]:
    """Members, programs and environment steps of a run with that many tasks, without evaluations."""
    offline = tasks * len(config.learners)
    methods = sum(name in METHODS for name in config.explorers)
    return {
        "members": config.seeds * (methods + offline * len(config.explorers)),
        "compilations": methods + offline,
        "env_steps": config.seeds * len(config.explorers) * config.steps,
    }
