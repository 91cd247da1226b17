"""Checks of preferences, and the policy that serves them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines.ppo import networks
from jaxrl.core.errors import UsageError
from jaxrl.morl import archive as archives
from jaxrl.morl import metrics
from jaxrl.morl.archive import Entries
from jaxrl.morl.objectives import assigned
from jaxrl.morl.preferences import archive_policy, preferences
from tests.morl.finite_problems import ENV, LEARNER


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[1.2, -0.2]], r"w\[0\]: weights must be finite and >= 0"),
        ([[0.5, 0.5], [0.5, 0.4]], r"w\[1\]: weights must add up to 1, got 0.9"),
        ([[0.2, 0.3, 0.5]], "w: need 2 weights each"),
        ([[np.nan, 1.0]], r"w\[0\]: weights must be finite"),
        ("half", "w: must be rows of 2 numbers"),
        (np.zeros((0, 2)), "w: need 2 weights each"),
    ],
)
def test_preferences_outside_of_the_simplex_are_refused(rows, words):
    with pytest.raises(UsageError, match=words):
        preferences(rows, 2, "w")


def test_rounding_within_a_millionth_is_no_error():
    assert preferences([0.5 + 5e-7, 0.5], 2).shape == (1, 2)


def archive_of_constant_policies():
    """Three policies on five states, the i-th of which always takes action i."""
    nets = networks(LEARNER, ENV)
    params = jax.eval_shape(nets.init, jax.random.key(0))
    zeros = jax.tree.map(lambda x: jnp.zeros((3, *x.shape)), params)
    bias = 50 * jnp.eye(3)
    actor = jax.tree.map(lambda x: bias if x.shape == (3, 3) else x, zeros["actor"])
    policy = {"params": zeros | {"actor": actor}, "moments": (), "scale": ()}
    G = jnp.array([[0.0, 3.0], [2.0, 2.0], [3.0, 0.0]])
    none, number = jnp.full((3, 2), -jnp.inf), jnp.arange(3, dtype=jnp.int32)
    new = Entries(policy, G, G, jnp.ones(3), none, number, number, number)
    free = archives.empty(jax.tree.map(lambda x: x[0], policy), 2, 5)
    return nets, jax.jit(archives.insert)(free, new, jnp.zeros(2) - 1, jnp.ones(3, bool))


@pytest.mark.parametrize("greedy", [True, False])
def test_unseen_preferences_are_served_by_the_member_of_largest_utility(greedy):
    nets, archive = archive_of_constant_policies()
    policy = archive_policy(LEARNER, nets)(archive, greedy)
    act = jax.jit(policy.act)
    for w, action in (((1.0, 0.0), 2), ((0.63, 0.37), 1), ((0.1, 0.9), 0)):
        obs = {"obs": jnp.int32(3), "preference": jnp.array(w)}
        assert int(act(jax.random.key(0), obs, policy.memory)[0]) == action


def test_archives_of_numpy_arrays_serve_alike():
    nets, archive = archive_of_constant_policies()
    policy = archive_policy(LEARNER, nets)(jax.tree.map(np.asarray, archive), True)
    obs = {"obs": jnp.zeros(2, jnp.int32), "preference": jnp.array([[1.0, 0.0], [0.1, 0.9]])}
    act = jax.jit(jax.vmap(lambda o: policy.act(jax.random.key(0), o, policy.memory)[0]))
    assert act(obs).tolist() == [2, 0]


def test_expected_utility_is_the_mean_of_the_assigned_utilities():
    _, archive = archive_of_constant_policies()
    G, grid = archive.entries.returns, jnp.asarray(metrics.weight_lattice(2, 0.01), jnp.float32)
    chosen = jax.vmap(assigned, (None, None, 0))(G, archive.valid, grid)
    utility = (G[chosen] * grid).sum(-1)
    assert float(utility.mean()) == pytest.approx(
        float(metrics.expected_utility(G, archive.valid, grid)), rel=1e-6
    )
