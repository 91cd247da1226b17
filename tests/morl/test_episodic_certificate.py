"""Certificates of archives whose policies are known, on tasks without tables."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.morl import certificate, episodic_certificate, stages
from experiments.morl.building import PRESETS
from experiments.morl.episodic import plan
from jaxrl.baselines.ppo import networks
from jaxrl.core.errors import UsageError
from jaxrl.morl import archive as archives
from jaxrl.morl.archive import Entries
from jaxrl.morl.tasks import task
from jaxrl.rollout.normalise import RunningMoments
from jaxrl.run.folder import RunFolder

CONFIG = PRESETS["smoke"]
# published rewards of comfort in the first six hours without any power
COMFORT = 16.6244717 + 13.2842436 + 11.7953491 + 11.3950939 + 11.1462936 + 12.6212425


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder with archives of one policy, whose power is always 0."""
    own = plan(CONFIG, "building-3")
    params = jax.tree.map(
        lambda x: jnp.zeros((1, *x.shape), x.dtype),
        jax.eval_shape(networks(own.learner, own.env).init, jax.random.key(0)),
    )

    def moments(n):
        zeros = RunningMoments.zeros(jax.ShapeDtypeStruct((n,), jnp.float32))
        return jax.tree.map(lambda x: x[None], zeros)

    policy = {"params": params, "moments": moments(29), "scale": moments(3)}
    G, zero = jnp.array([[7893.34, 11040.0, 10994.0]]), jnp.zeros(1, jnp.int32)
    new = Entries(policy, G, G, jnp.full(1, 480.0), jnp.full((1, 3), -jnp.inf), zero, zero - 1, zero)
    free = archives.empty(jax.tree.map(lambda x: x[0], policy), 3, CONFIG.capacity)
    full = jax.jit(archives.insert)(free, new, jnp.zeros(3), jnp.ones(1, bool))
    made = RunFolder.create("morl/building", CONFIG, tmp_path_factory.mktemp("runs"), "smoke")
    for stage in ("initialise", "barrier"):
        stages.store(made, "building-3", stage, 0, full, task("building-3").record())
    return made


def test_a_policy_without_power_reaches_the_bound_where_comfort_does_not_count(folder):
    config = CONFIG.__class__(**{**CONFIG.__dict__, "hours": 6})
    row = episodic_certificate.certify(folder, config)[0]
    assert row.preferences.shape == (6, 3)
    free = row.preferences[:, 0] == 0
    np.testing.assert_allclose(row.reached[free], row.bound[free], rtol=1e-6)
    assert np.all(row.reached[~free] < row.bound[~free])
    alone = row.preferences[:, 0] == 1
    np.testing.assert_allclose(row.reached[alone], COMFORT, atol=1e-3)


def test_fresh_episodes_certify_less_than_their_mean_dominates(folder):
    row = episodic_certificate.certify(folder, CONFIG)[0]
    # the first hours differ from episode to episode, and with them comfort
    assert row.fresh.shape == (1, 3) and 0 < row.certified < row.fresh_volume
    np.testing.assert_allclose(row.fresh_volume, row.fresh[0].prod(), rtol=1e-6)
    np.testing.assert_allclose(row.volume, 7893.34 * 11040 * 10994, rtol=1e-5)


def test_the_command_prints_what_the_run_stored(folder, capsys):
    rows = episodic_certificate.write(folder, CONFIG)
    assert certificate.main([str(folder.path)]) == 0
    assert capsys.readouterr().out == (folder.path / "certificate.md").read_text()
    stored = json.loads((folder.path / "certificate.json").read_text())
    assert [x["stage"] for x in stored] == ["initialise", "barrier"]
    assert stored[0]["bound"] == rows[0].bound.tolist() and stored[0]["members"] == 1


def test_a_run_without_archives_is_refused(tmp_path):
    empty = RunFolder.create("morl/building", CONFIG, tmp_path, "smoke")
    with pytest.raises(UsageError, match="holds no archives"):
        episodic_certificate.certify(empty, CONFIG)
