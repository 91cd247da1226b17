"""Parameters survive resets, and every leaf has an effect of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spaces
from jaxrl.core.types import Policy
from jaxrl.envs.control.cartpole import CartPole, CartPoleParams
from jaxrl.envs.tabular.mdp import make_mdp
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.rollout.unroll import Pool, Resample, start, unroll


@pytest.mark.parametrize("reset", [Resample(), Pool(4)], ids=["Resample", "Pool"])
def test_parameters_survive_resets(reset):
    """Three MDPs whose reward is their number, 10 episodes and more of each."""
    env = finite_horizon(Tabular(2, 2), 4)
    mdps = [make_mdp(np.full((2, 2, 2), 0.5), np.full((2, 2), reward)) for reward in (1.0, 2.0, 3.0)]
    params = env.default_params()
    many = jax.tree.map(lambda *x: jnp.stack(x), *(params._replace(env=mdp) for mdp in mdps))
    policy = Policy(lambda key, obs, memory: (spaces.sample(env.action_space, key), (), memory))

    @jax.jit
    def run(key):
        vec = start(env, policy, key, many, 3, params_axis=0)
        return unroll(env, policy, vec, key, many, length=44, params_axis=0, reset=reset)

    _, out, stats = run(jax.random.key(0))
    assert float(stats.count) == 33
    np.testing.assert_array_equal(out.reward, np.broadcast_to([1.0, 2.0, 3.0], (44, 3)))


@pytest.mark.parametrize("leaf", CartPoleParams._fields[:8])
def test_doubling_a_constant_changes_the_trajectory(leaf):
    """gymnax's CartPole stores the total mass, so that doubling `masscart` changes nothing there."""
    env = CartPole()
    params = env.default_params()
    if leaf != "theta_threshold":  # let the cart reach the edge of its track
        params = params._replace(theta_threshold=jnp.float32(1e3))
    changed = params._replace(**{leaf: 2 * getattr(params, leaf)})
    state, _ = env.reset(jax.random.key(0), params)

    @jax.jit
    def play(params):
        def body(state, action):
            after, out = env.step(jax.random.key(0), state, action, params)
            return after, (out.obs, out.terminated)

        return jax.lax.scan(body, state, jnp.ones(60, jnp.int32))[1]

    same = jax.tree.map(lambda x, y: bool((x == y).all()), play(params), play(changed))
    assert not all(same)


def test_derived_quantities_follow_their_leaves():
    params = CartPole().default_params()
    for leaf, factor in (("masscart", 3.0), ("masspole", 5.0), ("length", 2.0)):
        changed = params._replace(**{leaf: factor * getattr(params, leaf)})
        assert float(changed.total_mass) == pytest.approx(float(changed.masscart) + float(changed.masspole))
        assert float(changed.polemass_length) == pytest.approx(float(changed.masspole * changed.length))
