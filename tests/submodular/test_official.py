"""The released learner against its own loss, written out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.envs.coverage.coverage_grid import coverage_grid
from jaxrl.rollout.unroll import Freeze, start, unroll
from jaxrl.submodular import subpo
from jaxrl.submodular.features import with_features
from jaxrl.submodular.official import official

STATES, N = 5, 16


def test_one_update_is_adam_on_the_released_loss():
    env = with_features("markov_raw", partial(coverage_grid, "bimodal", STATES, rows=3, cols=4, start=5), 12)
    algorithm, data = official(env, STATES, N), env.default_params()
    hyper = subpo.Hyper(lr=5e-3, entropy=0.3)
    epoch = 2
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data).replace(updates=jnp.int32(epoch))
    after, _ = jax.jit(algorithm.step)(state, hyper, data)

    policy = algorithm.act(state, hyper, False)
    k_start, k_roll = jax.random.split(stream(state.key, epoch))
    vec = start(env, policy, k_start, data, N)
    _, batch, _ = unroll(env, policy, vec, k_roll, data, length=STATES - 1, reset=Freeze(), keep=("F",))

    def loss(params):
        total = entropy = 0.0
        for t in range(STATES - 1):
            x = batch.obs[t]
            for i in range(3):
                layer = params[f"Dense_{i}"]
                x = x @ layer["kernel"] + jnp.broadcast_to(layer["bias"], (N, layer["bias"].shape[0]))
                x = jnp.tanh(x) if i < 2 else jax.nn.log_softmax(x)
            entropy -= (jnp.exp(x) * x).sum()
            log_prob = x[jnp.arange(N), batch.action[t]]
            total -= (log_prob * batch.info["F"][t] / (2 * (STATES + 1))).sum()
        return (total - 0.3 / (epoch + 1) * entropy) / (N * (STATES - 1))

    grads = jax.jit(jax.grad(loss))(state.params["actor"])
    adam = optax.adam(5e-3)
    updates, _ = adam.update(grads, adam.init(grads))
    expected = optax.apply_updates(state.params["actor"], updates)
    for a, b in zip(jax.tree.leaves(after.params["actor"]), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_initial_weights_are_those_of_torch():
    env = with_features("markov_raw", partial(coverage_grid, "bimodal", STATES), 900)
    algorithm = official(env, STATES, N)
    actor = jax.jit(algorithm.init)(jax.random.key(0), subpo.Hyper(), env.default_params()).params["actor"]
    for i, (n_in, n_out) in enumerate(((2, 64), (64, 32), (32, 5))):
        layer, bound = actor[f"Dense_{i}"], n_in**-0.5
        assert layer["kernel"].shape == (n_in, n_out)
        for x in layer.values():
            assert float(jnp.abs(x).max()) <= bound
            # a uniform distribution of 5 or more numbers exceeds half its bound but for a chance of 1 / 32
            assert float(jnp.abs(x).max()) > 0.5 * bound


def test_bad_input():
    with pytest.raises(UsageError, match=r"official\.states"):
        official(coverage_grid("bimodal"), 1)
    with pytest.raises(UsageError, match=r"official\.states - 1: must be 39, .* 40 visited states, got 38"):
        official(coverage_grid("bimodal"), 39)
