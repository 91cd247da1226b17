"""Experiment design as released, noise 1e-6 in float64, against the released code with to_go credit."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.coverage.gp_design import gp_design
from jaxrl.submodular import subpo
from jaxrl.submodular.features import with_features

STATES = 40
# the released value adds -log2(1e-3) per state, where nats would ask for -ln(1e-6) / 2
CONSTANT = -np.log2(1e-3) + np.log(1e-6) / 2


def learn(modular, seeds, updates):
    """`(released value [seeds, updates], largest change of a parameter)`, raw features, batches of 500."""
    with jax.enable_x64(True):
        problem = partial(gp_design, noise=1e-6, modular=modular)
        env = with_features("markov_raw", problem, 900)
        algorithm = subpo.make(subpo.Config(), env)
        data, hyper = env.default_params(), subpo.Hyper()
        init = jax.jit(lambda seed: algorithm.init(jax.random.key(seed), hyper, data))

        @jax.jit
        def run(state):
            def body(state, _):
                state, metrics = algorithm.step(state, hyper, data)
                return state, metrics["train/F"]

            return jax.lax.scan(body, state, length=updates)

        values, changes = [], []
        for seed in range(seeds):
            before = init(seed)
            after, value = run(before)
            values.append(np.asarray(value) + STATES * CONSTANT)
            assert values[-1].dtype == np.float64
            moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), before.params, after.params)
            changes.append(max(float(x) for x in jax.tree.leaves(moved)))
        return np.stack(values), max(changes)


@pytest.mark.slow
def test_learning_curve_is_the_reference():
    """Reference of two seeds: 185.1 untrained, 222, 247, 259, 263 after 9, 24, 49, 99 updates."""
    values, _ = learn(modular=False, seeds=3, updates=150)
    mean = values.mean(0)
    assert mean[0] == pytest.approx(185.1, rel=0.04)
    assert mean[[9, 24, 49, 99]] == pytest.approx([222, 247, 259, 263], rel=0.04)
    # last values of the reference differ by 0.01 between seeds
    assert values[:, -1] == pytest.approx(263.85, abs=0.2)


@pytest.mark.slow
def test_own_values_teach_nothing():
    """Every place is worth the same alone: advantages of ModPO are rounding, below the epsilon of Adam."""
    _, change = learn(modular=True, seeds=1, updates=5)
    assert change < 1e-6
