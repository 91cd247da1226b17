"""Rollouts of archived policies for the page of a front: ways over a map, or curves by the hour."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np

from experiments.morl.front_page import Curves, Rollouts
from experiments.morl.settings import Finite
from experiments.morl.stages import Plan
from jaxrl.baselines import ppo
from jaxrl.core.prng import stream
from jaxrl.core.types import Array, PyTree
from jaxrl.envs.base import Env, Renders
from jaxrl.envs.control.building import GROUPS, Building
from jaxrl.envs.control.minecart import Minecart
from jaxrl.morl.learners import acting
from jaxrl.report import page

Look = Callable[[Any, Array], Array]


def on_map(found: Finite, tables: np.ndarray) -> Rollouts | None:
    """One episode of every policy `tables` float[n, S, A] with drawn actions; None where there is no map.

    Environments whose states have a row and a column have one.
    """
    env: Any = found.task.make()
    params = env.default_params()
    state, _ = env.reset(jax.random.key(0), params)
    if not isinstance(env, Renders) or not {"row", "col"} <= set(getattr(state, "_fields", ())):
        return None
    picture = np.asarray(env.render(state, params))
    run = jax.jit(jax.vmap(partial(_episode, env, params, state, found.task.horizon)))
    places, ended = run(jnp.asarray(tables, jnp.float32))
    places, lengths = np.asarray(places), np.asarray(ended).argmax(-1) + 1
    lengths = np.where(np.asarray(ended).any(-1), lengths, places.shape[1])
    rows, columns = (side // 16 for side in picture.shape[:2])  # a cell has 16 pixels
    start = np.array([[int(state.col), int(state.row)]]) + 0.5
    return Rollouts(
        width=float(columns),
        height=float(rows),
        paths=[np.concatenate([start, p[:n] + 0.5]) for p, n in zip(places, lengths, strict=True)],
        background=_embedded(picture),
        caption="One episode of the policy that is served, with drawn actions.",
    )


def _episode(env: Any, params: Any, state: Any, horizon: int, table: Array) -> tuple[Array, Array]:
    """Column and row after every step, int32[T, 2], and whether the episode had ended, bool[T]."""

    def step(carry: tuple[Any, Array], t: Array) -> tuple[tuple[Any, Array], tuple[Array, Array]]:
        state, ended = carry
        k_act, k_env = jax.random.split(stream(jax.random.key(0), t))
        probability = table[env.state_index(params, state)]
        action = jax.random.categorical(k_act, jnp.log(probability)).astype(jnp.int32)
        after, out = env.step(k_env, state, action, params)
        after = jax.tree.map(lambda new, old: jnp.where(ended, old, new), after, state)
        ended = ended | out.terminated
        return (after, ended), (jnp.stack([after.col, after.row]), ended)

    return jax.lax.scan(step, (state, jnp.zeros((), bool)), jnp.arange(horizon))[1]


def _embedded(picture: np.ndarray) -> str:
    data = io.BytesIO()
    matplotlib.image.imsave(data, picture, format="png")
    return page.embed(data.getvalue(), "png")


def of_task(own: Plan, policies: PyTree) -> Rollouts | Curves | None:
    """One episode of every policy, leaves `[n, ...]`, as the task evaluates it; None where nothing is drawn.

    Minecart: the way of the cart. Building: temperatures and powers of its parts in the first four days from
    the first hour of the year, without noise.
    """
    if isinstance(own.env, Minecart):
        return _cart(own, policies)
    return _building(own, policies) if isinstance(own.env, Building) else None


MARGIN, SIDE = 0.08, 1.16  # of the picture of Minecart around the unit square
HOURS = 96


def _cart(own: Plan, policies: PyTree) -> Rollouts:
    env: Any = own.env
    start, _ = env.reset(jax.random.key(0), own.data)
    picture = np.asarray(jax.jit(env.render)(start, own.data))

    places, ended = _played(own, policies, own.data, _place, own.evaluation.limit or 0)
    lengths = np.where(ended.any(-1), ended.argmax(-1) + 1, places.shape[1])
    home = np.array([[float(start.x), float(start.y)]])
    paths = [np.concatenate([home, p[:n]]) + MARGIN for p, n in zip(places, lengths, strict=True)]
    return Rollouts(
        SIDE, SIDE, paths, _embedded(picture), "The way of the cart that is served, in one episode."
    )


def _building(own: Plan, policies: PyTree) -> Curves:
    first = jnp.asarray(1, jnp.int32)
    data = own.data._replace(offset_low=first, offset_high=first, noise=jnp.zeros_like(own.data.noise))
    values, _ = _played(own, policies, data, _parts, HOURS)
    parts = ("lower", "middle", "upper")
    return Curves(
        panels=(("temperature, degrees C", parts), ("power, cooling below 0", parts)),
        values=list(values),
        across="hour",
        caption="Means of three parts of the building in four days of January, by the policy that is served.",
    )


def _place(state: Any, action: Array) -> Array:
    """Where the cart is, float[2]."""
    return jnp.stack([state.x, state.y])


def _parts(state: Any, action: Array) -> Array:
    """Means of temperatures and powers over the parts of the building, float[6]."""
    member = np.repeat(np.eye(3) / np.array(GROUPS), GROUPS, axis=0).astype(np.float32)
    return jnp.concatenate([state.T @ member, action @ member])


def _played(
    own: Plan, policies: PyTree, data: PyTree, look: Look, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """What `look(state, action)` float[k] sees after every step, float[n, T, k], and whether the
    episode had ended by then, bool[n, T].
    """
    static = (own.learner, own.env, own.evaluation.kind == "greedy", look, steps)
    seen, ended = _all_played(*static, policies, data)
    return np.asarray(seen), np.asarray(ended)


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _all_played(
    learner: ppo.Config, env: Env, greedy: bool, look: Look, steps: int, policies: PyTree, data: PyTree
) -> tuple[Array, Array]:
    nets = ppo.networks(learner, env)

    def one(policy: PyTree) -> tuple[Array, Array]:
        chosen = acting(learner, nets, policy, greedy)

        def step(carry: tuple[Any, Array, Array], t: Array) -> tuple[tuple, tuple[Array, Array]]:
            state, obs, ended = carry
            k_act, k_env = jax.random.split(stream(jax.random.key(0), t))
            action = chosen.act(k_act, obs, chosen.memory)[0]
            after, out = env.step(k_env, state, action, data)
            after = jax.tree.map(lambda new, old: jnp.where(ended, old, new), after, state)
            ended = ended | out.terminated
            return (after, out.obs, ended), (look(after, action), ended)

        state, obs = env.reset(jax.random.key(0), data)
        return jax.lax.scan(step, (state, obs, jnp.zeros((), bool)), jnp.arange(steps))[1]

    return jax.vmap(one)(policies)
