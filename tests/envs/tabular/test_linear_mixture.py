"""The environment of a linear mixture against its tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mixture_generators import random_mixture


def test_the_environment_has_the_transitions_of_its_tables():
    """The same uniforms give the same successors as the tables' simulator."""
    mixture = random_mixture(jax.random.key(1), 4, 2, 3, H=5)
    env, mdp = LinearMixture.of(mixture), mixture.to_tabular()
    assert env.H == 5 and env.reward_dim is None
    P = np.asarray(mdp.P, np.float64)
    step = jax.jit(env.step_u)
    state, _ = env.reset(jax.random.key(0), mixture)
    rng = np.random.default_rng(0)
    for t in range(5):
        u, a = rng.random(), int(rng.integers(2))
        expected = int(np.searchsorted(P[t, int(state.s), a].cumsum(), u, side="right"))
        state, out = step(state, jnp.int32(a), jnp.float32(u), mixture)
        assert int(state.s) == expected and bool(out.terminated) == (t == 4) and float(out.reward) == 0
    assert int(out.obs["h"]) == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LinearMixture(3, 2, 0), r"LinearMixture\.d: must be >= 1"),
        (lambda: LinearMixture(3, 4, 4, instance="hard"), r"LinearMixture\.S: the hard instance has .* = 8"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
