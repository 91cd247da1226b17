"""Small tables as datasets, and learners trained on them with all rows at once."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.tree import tree_stack
from jaxrl.data.dataset import from_arrays, from_occupancy
from jaxrl.dual_rl import learner
from jaxrl.envs.tabular.mdp import make_mdp
from theory.dual_rl.reference import behaviour, problem

OBS, BOX, KEYS = Box(-np.inf, np.inf, (3,)), Box(-2.0, 2.0, (1,)), Discrete(3)
TABLE = {"batch_size": None, "widths": (), "normalise_obs": False}

quick = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
"""`jit` for programs that run once: compiles in half the time, to slower code."""


def dataset(action_space, seed=0, n=24):
    """Three episodes, the second of which ends inside the MDP."""
    rng = np.random.default_rng(seed)
    obs = rng.normal(size=(n + 1, 3))
    discrete = isinstance(action_space, Discrete)
    ends = np.arange(n) % 8 == 7
    return from_arrays(
        {
            "obs": obs[:-1],
            "next_obs": obs[1:],
            "action": rng.integers(0, 3, n) if discrete else rng.uniform(-2, 2, (n, 1)),
            "reward": rng.normal(size=n),
            "terminated": ends & (np.arange(n) // 8 == 1),
            "truncated": ends & (np.arange(n) // 8 != 1),
        },
        action_space=action_space,
    )


def certain():
    """5 states, 3 actions, certain successors: residuals of single transitions are their expectations."""
    s, a, t = np.ogrid[:5, :3, :5]
    law = 1.0 * ((2 * s + 3 * a + s * a + 1) % 5 == t)
    s, a = np.ogrid[:5, :3]
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, make_mdp(law, np.cos(1 + s + 2 * a), np.arange(1, 6) / 15, 0.9))


def certain_problem(uncovered=0):
    return problem(certain(), behaviour(), uncovered)


def start_of(mdp):
    """d0 as a dataset; its actions are not looked at."""
    return from_occupancy(np.repeat(np.asarray(mdp.mu0)[:, None], 3, 1) / 3, mdp)


def any_state(algorithm, hyper, data):
    """A state of random numbers with fresh optimisers, for what holds of any; nothing is compiled."""
    rng = np.random.default_rng(0)

    def leaf(path, x):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.key(0)
        if "opt_states" in jax.tree_util.keystr(path) or jnp.issubdtype(x.dtype, jnp.integer):
            return jnp.zeros(x.shape, x.dtype)
        return jnp.asarray(0.5 * np.abs(rng.normal(size=x.shape)) + 0.1, x.dtype)

    shapes = jax.eval_shape(algorithm.init, jax.random.key(0), hyper, data)
    return jax.tree_util.tree_map_with_path(leaf, shapes)


def train(config, hypers, data, phases, init=None):
    """A population of `hypers` through `(lr_value, lr_actor, updates)`, as one program.

    init: `(keys, hypers, data) -> states` instead of the algorithm's own.
    `(networks' parameters [B, ...], metrics of the last update)`.
    """
    algorithm = learner.make(config, Discrete(5), Discrete(3))
    init = init or quick(jax.vmap(algorithm.init, (0, 0, None)))
    keys = jax.random.split(jax.random.key(0), len(hypers))
    hypers = tree_stack([jax.tree.map(jnp.float32, h).replace(which=jnp.int32(h.which)) for h in hypers])

    @jax.jit
    def phase(states, hypers, updates, data):
        def one(state, hyper):
            _, metrics = jax.eval_shape(algorithm.step, state, hyper, data)
            nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), metrics)
            # a dynamic count, so that phases share the program
            return jax.lax.fori_loop(
                0, updates, lambda _, carry: algorithm.step(carry[0], hyper, data), (state, nothing)
            )

        return jax.vmap(one)(states, hypers)

    states = init(keys, hypers, data)
    for lr_value, lr_actor, updates in phases:
        rates = {"lr_value": lr_value, "lr_actor": lr_actor}
        full = {name: jnp.full_like(hypers.gamma, rate) for name, rate in rates.items()}
        states, metrics = phase(states, hypers.replace(**full), updates, data)
    return states.learner.params, metrics


def table_of(params):
    """Outputs `[..., S, m]` of a linear network on one-hot states, in float64."""
    layer = params["Dense_0"]
    return np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)[..., None, :]


def policy_table(params):
    logits = table_of(params["actor"])
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)
