"""brax bodies with vector rewards, assembled as mo-gymnasium assembles those of MuJoCo's.

Engines differ: returns of a body on one of brax's back-ends compare with no table made with MuJoCo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax.numpy as jnp

from jaxrl.core.errors import UsageError, nearest
from jaxrl.core.fields import check_fields
from jaxrl.core.types import Array, PyTree, Step
from jaxrl.envs.adapters.brax import Brax, BraxParams
from jaxrl.envs.wrappers.wrapper import Wrapper


class Terms(NamedTuple):
    """What rewards are made of, float[] each.

    vx, vy: velocity in m/s; height: of the torso in m; cost: sum of squared controls, which are +-0.4 at most
    for the humanoid; healthy: 1 where the bonus of a healthy body is paid, else 0.
    """

    vx: Array
    vy: Array
    height: Array
    cost: Array
    healthy: Array


class Task(NamedTuple):
    """A body and its objectives.

    cost: name and weight of brax's metric of the controls' cost; rewards: its objectives from the `Terms`.
    """

    body: str
    cost: tuple[str, float]
    rewards: Callable[[Terms], tuple[Array, ...]]


_CTRL = "reward_ctrl"
TASKS = {
    "hopper-2": Task(
        "hopper",
        (_CTRL, 1e-3),
        lambda t: (
            t.vx + t.healthy - 1e-3 * t.cost,
            10 * (t.height - 1.25) + t.healthy - 1e-3 * t.cost,
        ),
    ),
    "hopper-3": Task(
        "hopper",
        (_CTRL, 1e-3),
        lambda t: (t.vx + t.healthy, 10 * (t.height - 1.25) + t.healthy, t.healthy - t.cost),
    ),
    "halfcheetah-2": Task("halfcheetah", (_CTRL, 0.1), lambda t: (t.vx, -t.cost)),
    "halfcheetah-2-v4": Task("halfcheetah", (_CTRL, 0.1), lambda t: (t.vx, -0.1 * t.cost)),
    "ant-2": Task(
        "ant",
        (_CTRL, 0.5),
        lambda t: (t.vx + t.healthy - 0.5 * t.cost, t.vy + t.healthy - 0.5 * t.cost),
    ),
    "ant-3": Task("ant", (_CTRL, 0.5), lambda t: (t.vx + t.healthy, t.vy + t.healthy, t.healthy - t.cost)),
    "walker2d-2": Task("walker2d", (_CTRL, 1e-3), lambda t: (t.vx + t.healthy, t.healthy - t.cost)),
    "humanoid-2": Task(
        "humanoid",
        ("reward_quadctrl", 0.1),
        lambda t: (t.vx + 5 * t.healthy, 5 * t.healthy - t.cost),
    ),
}
"""Objectives by task, those of mo-gymnasium's v4 and v5 tasks without contact costs, which brax has not.

Running and staying high (hopper), running along both axes (ant), running, and saving control.
"""


@dataclass(frozen=True)
class Objectives(Wrapper):
    """The dynamics of a brax body with a reward float[m]; made by `brax_objectives`.

    Physics, observations and ends are those of `env`, bit for bit. `info` has brax's scalar reward as
    "scalar_reward" beside its metrics; where the physics left the finite numbers the reward is 0. Time limit:
    500 steps by default.
    """

    env: Brax
    task: str = "hopper-2"
    """Name of the task in `TASKS`; its body is that of `env`."""
    healthy: Literal["v4", "v5"] = "v4"
    """Whether a step that ends an episode pays the bonus of a healthy body ("v4", as brax) or not ("v5")."""

    def __post_init__(self) -> None:
        check_fields(self)
        super().__post_init__()
        body = _task(self.task).body
        if body != self.env.name:
            raise UsageError(
                f"Objectives.env: {self.task} needs the body {body}, got {self.env.name}; "
                "make it by brax_objectives"
            )

    @property
    def name(self) -> str:
        """The task."""
        return self.task

    @property
    def reward_dim(self) -> int:
        """Number of objectives."""
        zero = jnp.zeros(())
        return len(TASKS[self.task].rewards(Terms(zero, zero, zero, zero, zero)))

    def extend(self, inner: BraxParams) -> BraxParams:
        """Episodes of 500 steps."""
        return inner.replace(time_limit=jnp.full((), 500, jnp.int32))

    def advance(self, state: PyTree, inner: PyTree, out: Step, params: BraxParams) -> tuple[PyTree, Step]:
        """The step of the body, with the reward put together from its metrics."""
        metric, weight = TASKS[self.task].cost
        dtype = out.reward.dtype
        healthy = jnp.ones((), dtype)
        terms = Terms(
            vx=out.info["x_velocity"],
            vy=out.info.get("y_velocity", jnp.zeros((), dtype)),
            height=inner.x.pos[0, 2].astype(dtype),
            cost=-out.info[metric] / weight,
            healthy=healthy if self.healthy == "v4" else healthy - out.terminated,
        )
        reward = jnp.stack(TASKS[self.task].rewards(terms))
        reward = jnp.where(out.info["non_finite"], 0, reward)
        return inner, out._replace(reward=reward, info=out.info | {"scalar_reward": out.reward})


def brax_objectives(task: str, backend: str = "spring", *, healthy: Literal["v4", "v5"] = "v4") -> Objectives:
    """One of the vector-reward tasks of `TASKS` on one of brax's back-ends.

    healthy: see `Objectives`. Raises `MissingExtra` without brax when it is first used, and `UsageError` for
    an unknown task, back-end or version.
    """
    return Objectives(Brax(_task(task).body, backend), task, healthy)


def _task(name: str) -> Task:
    if name not in TASKS:
        raise UsageError(f"brax_objectives.task: {name!r} does not exist; {nearest(name, TASKS)}")
    return TASKS[name]
