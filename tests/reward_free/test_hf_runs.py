"""HF-UCRL-RFE++ in the driver: a float64 run continues with equal bits, and never in float32."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.reward_free import hf
from jaxrl.run.folder import RunFolder
from jaxrl.run.train import train
from tests.reward_free.mixtures import hashed


def run(folder, *, float64):
    """Two members, six updates of three episodes, a checkpoint after each."""
    mixture = hashed()
    hyper = hf.Hyper(horizon=4, bound=1.06, c_beta=0.05)
    hypers = jax.tree.map(lambda x: jnp.asarray([x, x]), hyper)
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    algorithm = hf.make(hf.Config(horizon=4, episodes=3, orders=2), LinearMixture.of(mixture))
    return train(
        algorithm, keys, hypers, mixture, updates=6, folder=folder, checkpoint_every=1, float64=float64
    )


@pytest.mark.slow
def test_a_float64_run_continues_with_equal_bits_and_not_in_float32(tmp_path):
    with jax.enable_x64(True):
        first = RunFolder.create("reward_free/hf", hf.Config(), tmp_path, "smoke")
        whole = run(first, float64=True)
        part = RunFolder(shutil.copytree(first.path, tmp_path / "part"))
        part.resume_from = 4
        again = run(part, float64=True)
        for a, b in zip(jax.tree.leaves(whole.state), jax.tree.leaves(again.state), strict=True):
            if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
                np.testing.assert_array_equal(a, b)
        assert again.state.regressions.gram.dtype == jnp.float64
    with pytest.raises(UsageError, match="float64"):
        run(RunFolder(first.path), float64=False)
