"""Ways of archived policies over a map, for the page of a front."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np

from experiments.morl.front_page import Rollouts
from experiments.morl.settings import Finite
from jaxrl.core.prng import stream
from jaxrl.core.types import Array
from jaxrl.envs.base import Renders
from jaxrl.report import page


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
    data = io.BytesIO()
    matplotlib.image.imsave(data, picture, format="png")
    return Rollouts(
        width=float(columns),
        height=float(rows),
        paths=[np.concatenate([start, p[:n] + 0.5]) for p, n in zip(places, lengths, strict=True)],
        background=page.embed(data.getvalue(), "png"),
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
