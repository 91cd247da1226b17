"""Certificates of archives whose policies are known, and of nothing else than the archives."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.morl import certificate, discrete_suite, stages
from experiments.morl.settings import SEA, finite, learner
from jaxrl.baselines.ppo import networks
from jaxrl.core.errors import UsageError
from jaxrl.morl import archive as archives
from jaxrl.morl.archive import Entries
from jaxrl.run.folder import RunFolder

SHARP = 60.0  # logits so far apart that float32 probabilities are 0 and 1


def way(column, row):
    """Logits [122, 4] of a policy that goes right to a column and then down."""
    logits = np.zeros((122, 4), np.float32)
    logits[:, 1] = SHARP
    logits[:column] = [0, 0, 0, SHARP]
    return logits


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run folder with one archive: treasures 1, 74 and 124 of the concave sea, one with a broken bound."""
    found = finite("dst-concave")
    nets = networks(learner(SEA, 1), found.env)
    params = jax.tree.map(
        lambda x: np.zeros((3, *x.shape), np.float32), jax.eval_shape(nets.init, jax.random.key(0))
    )
    actor = [np.stack([way(0, 1), way(8, 9), way(9, 10)])]
    params["actor"] = jax.tree.map(lambda x: actor[0] if x.shape == (3, 122, 4) else x, params["actor"])
    G = found.front[[0, 8, 9]].astype(np.float32)
    bounds = np.full((3, 2), -np.inf, np.float32)
    bounds[1, 1], bounds[2, 1] = G[1, 1] - 1, G[2, 1] + 1  # kept, broken
    number, policy = np.arange(3, dtype=np.int32), {"params": params, "moments": (), "scale": ()}
    objective = np.array([-1, 0, 0], np.int32)
    new = Entries(policy, G, G, np.ones(3, np.float32), bounds, number, objective, number)
    new = jax.tree.map(jnp.asarray, new)
    free = archives.empty(jax.tree.map(lambda x: x[0], policy), 2, 64)
    full = jax.jit(archives.insert)(free, new, jnp.array([0.0, -50.0]), jnp.ones(3, bool))
    config = discrete_suite.PRESETS["smoke"]
    folder = RunFolder.create("morl/discrete_suite", config, tmp_path_factory.mktemp("runs"), "smoke")
    stages.store(folder, "dst-concave", "barrier", 0, full, found.task.record())
    return folder


def test_members_are_evaluated_exactly(folder):
    (row,) = certificate.certify(folder)
    front = finite("dst-concave").front
    assert row.members == 3 and row.error < 1e-4
    # areas of three boxes above (0, -50), from right to left
    points = front[[0, 8, 9]] + np.array([0.0, 50.0])
    area = points[2, 0] * points[2, 1] + points[1, 0] * (points[1, 1] - points[2, 1])
    area += points[0, 0] * (points[0, 1] - points[1, 1])
    assert row.hypervolume == pytest.approx(area, rel=1e-6)
    assert row.pareto_gap == pytest.approx(1 - area / 3688.377090, rel=1e-6)
    assert row.hull_gap == pytest.approx(1 - area / 4231.036048, rel=1e-6)


def test_ends_of_the_front_leave_no_loss_of_utility_where_it_is_concave(folder):
    (row,) = certificate.certify(folder)
    assert row.loss == pytest.approx(0.0, abs=1e-3)


def test_bounds_are_checked_in_exact_arithmetic(folder):
    (row,) = certificate.certify(folder)
    assert (row.extended, row.kept) == (2, 1)


def test_the_command_prints_what_the_run_stored(folder, capsys):
    rows = certificate.write(folder)
    assert certificate.main([str(folder.path)]) == 0
    assert capsys.readouterr().out == (folder.path / "certificate.md").read_text()
    stored = json.loads((folder.path / "certificate.json").read_text())
    assert stored[0]["hypervolume"] == rows[0].hypervolume and stored[0]["kept"] == 1


def test_a_run_without_archives_is_refused(tmp_path, capsys):
    config = discrete_suite.PRESETS["smoke"]
    empty = RunFolder.create("morl/discrete_suite", config, tmp_path, "smoke")
    with pytest.raises(UsageError, match="holds no archives"):
        certificate.certify(empty)
    assert certificate.main([str(empty.path)]) == 2 and certificate.main([]) == 2
    assert "usage" in capsys.readouterr().err
    other = RunFolder.create("morl/comparison", config, tmp_path, "smoke")
    assert certificate.main([str(other.path)]) == 2
    assert "a run of morl/comparison stores no archives; name one of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tasks": ()}, "Config.tasks: must hold at least one entry"),
        ({"optimisers": ()}, "Config.optimisers: must hold"),
        ({"beta": ()}, "Config.beta: must hold"),
        ({"beta": (0.9, 0.9)}, "Config.beta: must hold different shares"),
        ({"tasks": ("dst-concav",)}, "did you mean 'dst-concave'"),
    ],
)
def test_configurations_without_a_task_are_refused(change, words):
    with pytest.raises(UsageError, match=words):
        discrete_suite.Config(**change)
