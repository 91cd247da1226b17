"""DFIV: stages against ridge regressions and two-stage least squares, and a population that must end."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import dfiv, two_stage
from tests.architecture.source_tree import ROOT

AT = np.linspace(-2, 2, 5)[:, None]


def test_dfiv_stages_are_ridge_regressions():
    rng = np.random.default_rng(0)
    phi1, psi1, psi2 = rng.normal(size=(30, 2)), rng.normal(size=(30, 3)), rng.normal(size=(20, 3))
    y2 = rng.normal(size=20)
    with jax.enable_x64(True):
        loss, w = dfiv.stage2(*(jnp.asarray(a) for a in (phi1, psi1, psi2, y2)), 0.7, 0.3)
        first = dfiv.stage1_loss(jnp.asarray(phi1), jnp.asarray(psi1), 0.7)
    a, b = np.c_[psi1, np.ones(30)], np.c_[psi2, np.ones(20)]
    w1 = np.linalg.solve(a.T @ a + 0.7 * np.eye(4), a.T @ phi1)
    np.testing.assert_allclose(first, np.sum((phi1 - a @ w1) ** 2) + 0.7 * np.sum(w1**2), rtol=1e-10)
    c = np.c_[b @ w1, np.ones(20)]
    w2 = np.linalg.solve(c.T @ c + 0.3 * np.eye(3), c.T @ y2)
    np.testing.assert_allclose(w, w2, rtol=1e-9)
    np.testing.assert_allclose(loss, np.sum((y2 - c @ w2) ** 2) + 0.3 * np.sum(w2**2), rtol=1e-10)


def test_dfiv_with_fixed_features_is_two_stage_least_squares():
    s = zoo("linear", "A").train.rows(slice(0, 200))
    with jax.enable_x64(True):
        x, z, y = (jnp.asarray(a) for a in s[:3])
        _, w = dfiv.stage2(x, z, z, y, 1e-9, 1e-9)
        w = np.asarray(w)
    np.testing.assert_allclose(
        np.c_[AT, np.ones(5)] @ w, two_stage.tsls(s.x, s.z, s.y)(AT), rtol=1e-6, atol=1e-8
    )


POPULATION = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
import jax.numpy as jnp
import numpy as np
from functools import partial
from jaxrl.core.spmd import map_population, mesh
from jaxrl.minimax.designs.npiv_zoo import zoo
from jaxrl.minimax.estimators import dfiv

config = dfiv.Config((4, 2), (120,), stage1_iter=3, epochs=3)
data = [jnp.asarray(a[:200], jnp.float32) for a in zoo("abs", "A").train[:3]]
keys = jax.random.split(jax.random.key(0), 16)
program = jax.jit(map_population(partial(dfiv.member, config), mesh(), 8, shared=(1, 2, 3, 4)))
for _ in range(3):
    found = program(keys, *data, data[0][:5])
one = jax.jit(partial(dfiv.member, config))(keys[3], *data, data[0][:5])
np.testing.assert_allclose(found[3], one, rtol=1e-3, atol=1e-4)
"""


def test_a_population_on_two_devices_ends():
    """Batched LAPACK calls of this size block jaxlib's threads for ever at the first call or the second."""
    done = subprocess.run(
        [sys.executable, "-c", POPULATION],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)},
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_settings_of_dfiv_are_checked():
    with pytest.raises(UsageError, match=r"Config.split: must be in \(0, 1\)"):
        dfiv.Config(split=1.0)
    with pytest.raises(UsageError, match=r"Config.lam2: must be > 0"):
        dfiv.Config(lam2=0.0)
    with pytest.raises(UsageError, match="one layer at least"):
        dfiv.Config(x_widths=())
