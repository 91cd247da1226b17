"""Small tables as datasets, algorithms trained on them with all rows at once, and what tests share."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.core import spmd
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.tree import tree_stack
from jaxrl.data.dataset import from_arrays, from_occupancy
from jaxrl.dual_rl import forms
from jaxrl.dual_rl.data import Data, initial
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
    transitions = 1.0 * ((2 * s + 3 * a + s * a + 1) % 5 == t)
    s, a = np.ogrid[:5, :3]
    with jax.enable_x64(True):
        return jax.tree.map(
            np.asarray, make_mdp(transitions, np.cos(1 + s + 2 * a), np.arange(1, 6) / 15, 0.9)
        )


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
    algorithm = forms.algorithm(config, Discrete(5), Discrete(3))
    init = init or quick(jax.vmap(algorithm.init, (0, 0, None)))
    keys = jax.random.split(jax.random.key(0), len(hypers))
    whole = lambda x: jnp.int32(x) if isinstance(x, int) else jnp.float32(x)  # noqa: E731
    hypers = tree_stack([jax.tree.map(whole, h) for h in hypers])

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
    return states.agent.params, metrics


def table_of(params):
    """Outputs `[..., S, m]` of a linear network on one-hot states, in float64."""
    layer = params["Dense_0"]
    return np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)[..., None, :]


def policy_table(params):
    logits = table_of(params["actor"])
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


def scan(algorithm, hypers, data, updates, keys, times=1):
    """States and metrics `[B, ...]` of a population after `updates` updates, as often as asked."""

    @quick
    def run(keys, hypers, data):
        def one(key, hyper):
            state = algorithm.init(key, hyper, data)
            return jax.lax.scan(lambda s, _: algorithm.step(s, hyper, data), state, None, length=updates)

        return jax.vmap(one)(keys, hypers)

    hypers = tree_stack([jax.tree.map(jnp.asarray, h) for h in hypers])
    return [run(keys, hypers, data) for _ in range(times)]


def floats(tree):
    return [np.asarray(x) for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]


def without_rewards(data):
    return data.replace(reward=jnp.full_like(data.reward, jnp.nan))


def linear(params, x):
    """A linear network in numpy, `[..., n, m]` of features `[n, k]`."""
    layer = params["Dense_0"]
    kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
    return np.einsum("nk,...km->...nm", x, kernel) + bias[..., None, :]


def check_that_rewards_are_not_read(name):
    """One update of a method of imitation is the same to the bit where rewards are NaN."""
    config = forms.config(name, batch_size=8, widths=())
    algorithm, hyper = forms.algorithm(config, OBS, KEYS), forms.hyper(config)
    reference, expert = dataset(KEYS), dataset(KEYS, 1)
    data = Data(reference, expert, initial(reference))
    step = quick(lambda state, data: algorithm.step(state, hyper, data))
    start = any_state(algorithm, hyper, data)
    state, metrics = step(start, data)
    hidden, _ = step(start, Data(*(without_rewards(d) for d in (reference, expert, data.start))))
    for a, b in zip(floats(state), floats(hidden), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all(np.isfinite(x).all() for x in floats(metrics))


def check_data_parallel(name, action_space, batch_size=8, **choices):
    """Five updates by plain gradient steps on four devices are those on one to 1e-6.

    An optimiser that rescales would hide a wrong factor.
    """
    config = forms.config(name, batch_size=batch_size, widths=(4,), **choices)
    hyper = jax.tree.map(jnp.asarray, forms.hyper(config, gamma=0.9, lr_value=0.05, lr_actor=0.05))
    reference = dataset(action_space)
    data = Data(reference, dataset(action_space, 1, 8), reference.take(jnp.arange(8)))
    found = []
    for n in (1, 4):
        mesh = spmd.mesh("data", jax.devices()[:n])
        algorithm = forms.algorithm(config, OBS, action_space, optimiser=optax.identity(), axis="data")
        parallel = spmd.data_parallel(algorithm, mesh, spmd.P())

        @quick
        def run(data, parallel=parallel):
            state = parallel.init(jax.random.key(0), hyper, data)
            return jax.lax.scan(lambda s, _: parallel.step(s, hyper, data), state, None, length=5)

        found.append(run(data))
    for a, b in zip(floats(found[0]), floats(found[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * max(1.0, np.abs(a).max()))
