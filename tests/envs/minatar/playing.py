"""Episodes of the games from given actions, and the same episodes in MinAtar."""

import json

import jax
import jax.numpy as jnp
import numpy as np


def play(env, state, actions, u=None):
    """`(rewards, ends, observations, states)`, `[T, ...]`, of a game without resets, in one compiled loop."""
    params = env.default_params()
    rows = (jnp.asarray(actions, jnp.int32), None if u is None else jnp.asarray(u, jnp.float32))

    def body(state, row):
        action, draw = row
        if draw is None:
            state, out = env.step(jax.random.key(0), state, action, params)
        else:
            state, out = env.step_u(state, action, draw, params)
        return state, (out.reward, out.terminated, out.obs, state)

    return jax.tree.map(np.asarray, jax.jit(lambda state: jax.lax.scan(body, state, rows)[1])(state))


def assert_equal_to(record, env, start, draws):
    """Every step of the record is a step of `env`; `draws(state, row)` are its uniforms, None without.

    start: `(row) -> state` of a new episode.
    """
    params = env.default_params()

    def body(state, row):
        state = jax.tree.map(lambda a, b: jnp.where(row["begins"], a, b), start(row), state)
        u = draws(state, row)
        if u is None:
            state, out = env.step(jax.random.key(0), state, row["action"], params)
        else:
            state, out = env.step_u(state, row["action"], u, params)
        same = (out.obs == row["obs"]).all()
        return state, (same, out.reward == row["reward"], out.terminated == row["terminal"])

    rows = {name: jnp.asarray(x) for name, x in record.items()}
    first = start(jax.tree.map(lambda x: x[0], rows))
    assert rows["terminal"].sum() + rows["reward"].sum() > 20  # something happened
    same = [np.asarray(x) for x in jax.jit(lambda s: jax.lax.scan(body, s, rows)[1])(first)]
    wrong = {
        name: np.flatnonzero(~x)[:3].tolist() for name, x in zip(("obs", "reward", "end"), same, strict=True)
    }
    assert not any(wrong.values()), json.dumps(wrong)
