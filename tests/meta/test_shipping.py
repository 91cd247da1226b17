"""Files of the zoo are what the published arrays say."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from experiments.meta import drift_objectives, grid_objectives, horizon_bandit, levels, schedules, shipping
from jaxrl.core.errors import UsageError
from jaxrl.data import safe
from jaxrl.meta import zoo
from jaxrl.meta.objective import MASKS, Time, mask_of
from jaxrl.meta.sensitivity import windows
from jaxrl.run.folder import RunFolder

PUBLISHED = Path(shipping.__file__).with_name("results") / "drift_objectives-quick.npz"
FIELDS = (
    "rule",
    "arguments",
    "features",
    "training",
    "evaluation",
    "command",
    "configuration",
    "certificate",
)


def test_shipped_rules_are_those_of_the_published_run(tmp_path):
    folder = RunFolder.create(shipping.STUDY, drift_objectives.PRESETS["quick"], tmp_path, "quick")
    folder.save_result(**safe.read_npz(PUBLISHED))
    shipping.main([str(folder.path), "--dest", str(tmp_path / "zoo")])
    names = sorted(path.stem for path in (tmp_path / "zoo").glob("*.json"))
    assert names and set(names) <= set(zoo.names())
    for name in names:
        made, shipped = (json.loads((d / f"{name}.json").read_text()) for d in (tmp_path / "zoo", zoo.FOLDER))
        for field in FIELDS[:-1]:
            assert made[field] == shipped[field]
        assert made["certificate"].keys() == shipped["certificate"].keys()
        own, theirs = (np.load(d / f"{name}.npz") for d in (tmp_path / "zoo", zoo.FOLDER))
        assert all(np.array_equal(own[k], theirs[k]) for k in (*own, *theirs))


def test_closed_forms_are_written_with_what_they_lose(tmp_path):
    """From the published run: one file is read back, fits its network, and has the published difference."""
    folder = RunFolder.create(shipping.CLOSED_FORMS, schedules.PRESETS["quick"], tmp_path, "quick")
    with np.load(PUBLISHED.with_name("schedules-quick.npz")) as file:
        result = dict(file)
    folder.save_result(**result)
    made = {entry["name"]: entry for entry in shipping.closed_forms(folder)}
    assert list(made) == [name.replace("lpo", "dpo") for name in schedules.LEARNED]
    assert [entry["arguments"]["degree"] for entry in made.values()] == [0, 2, 0, 2]
    shipped = {name: zoo.load(name) for name in made}
    for name, one in made.items():
        for key, array in one["arrays"].items():
            np.testing.assert_array_equal(shipped[name].phi[key], np.float32(array))
        assert all(shipped[name].record[field] == one["about"][field] for field in FIELDS[3:-1])
    entry, network = shipped["ta_dpo_cartpole"], zoo.load("ta_lpo_cartpole")
    assert entry.objective.name == "TA-DPO"
    names = result["rule"].tolist()
    own, theirs = (result["returns"][names.index(n), 1] for n in ("ta_lpo_cartpole, closed form", names[3]))
    lost = entry.record["evaluation"]["minus ta_lpo_cartpole"]
    assert names[3] == "ta_lpo_cartpole" and abs(lost["mean"] - float((own - theirs).mean())) < 0.01
    ratio, advantage = jnp.exp(jnp.linspace(-0.6, 0.6, 60)), jnp.resize(jnp.array([-1.0, 0.5, 1.5]), 60)
    at = ratio, jnp.log(ratio), advantage, Time(20.0, 40.0, MASKS["n/N"])
    f, closed = (np.asarray(e.objective.apply(e.phi, *at)) for e in (network, entry))
    assert np.square(closed - f).sum() < 0.02 * np.square(f).sum()


def grids(tmp_path):
    """A run of the grid study with made-up arrays; the second meta-seed is the better one of each arm."""
    config = dataclasses.replace(grid_objectives.PRESETS["smoke"], kinds=("REINFORCE", "LPG"))
    folder = RunFolder.create(shipping.GRIDS, config, tmp_path, "smoke")
    sizes = {k: zoo_size(levels.rule(config, k)) for k in config.kinds}
    rng, shape = np.random.default_rng(0), (4, 2)
    folder.save_result(
        arm=np.array(list(levels.ARMS)),
        horizon=np.array(config.evaluated),
        counterfactual=np.array(config.counterfactual),
        returns=rng.normal(size=(*shape, 2, 8)).astype(np.float32),
        told=np.zeros((*shape, 2, 8), np.float32),
        start=np.zeros((2, 8), np.float32),
        chosen=np.full(shape, 3),
        best=np.array([[0.0, 1.0]] * 4),
        **{k: rng.normal(size=(2, 2, n)).astype(np.float32) for k, n in sizes.items()},
    )
    return config, folder


def test_shipped_rules_for_targets_are_those_of_the_published_run(tmp_path):
    folder = RunFolder.create(shipping.GRIDS, grid_objectives.PRESETS["quick"], tmp_path, "quick")
    with np.load(PUBLISHED.with_name("grid_objectives-quick.npz")) as file:
        folder.save_result(**dict(file))
    made = {entry["name"]: entry for entry in shipping.for_targets(folder)}
    assert [*made] == ["reinforce_small", "scheduled_reinforce_small", "lpg_small", "ta_lpg_small"]
    for name, entry in made.items():
        shipped = zoo.load(name, "targets")
        phi = zoo.learned(shipped.phi)
        assert phi.keys() == entry["arrays"].keys()
        assert all(np.array_equal(phi[k], x) for k, x in entry["arrays"].items())
        for field in ("training", "evaluation", "command", "configuration"):
            assert shipped.record[field] == entry["about"][field]


def zoo_size(objective):
    return sum(x.size for x in jax.tree.leaves(objective.init(jax.random.key(0))))


def test_rules_for_targets_are_written_as_they_were_evolved(tmp_path):
    """A blind rule is shipped without the weights of time inputs, which its mask never let through."""
    config, folder = grids(tmp_path)
    shipping.main([str(folder.path), "--dest", str(tmp_path / "zoo")])
    result = folder.load_result()
    window = windows(jax.random.key(0), config.learner.predictions)
    for i, (arm, (kind, mask)) in enumerate(levels.ARMS.items()):
        entry = zoo.load(shipping.name_of(arm, "debug"), "targets", tmp_path / "zoo")
        assert entry.objective.inputs == (() if mask == "none" else ("n/N", "ln N"))
        rule = levels.rule(config, kind)
        unravel = ravel_pytree(rule.init(jax.random.key(0)))[1]
        evolved = unravel(jnp.array(result[kind][i % 2, 1]))
        own = entry.objective.apply(entry.phi, window, Time(2.0, 4.0, mask_of(entry.objective.inputs)))
        theirs = rule.apply(evolved, window, Time(2.0, 4.0, MASKS[mask]))
        for a, b in zip(own, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        said = entry.record["evaluation"]["N = 4"]
        assert said["return"]["mean"] == pytest.approx(result["returns"][i, 1, 1].mean(), abs=1e-4)
        assert ("minus REINFORCE" in said) == (arm != "REINFORCE")


def test_a_run_of_another_study_is_refused(tmp_path):
    folder = RunFolder.create("meta/horizon_bandit", horizon_bandit.PRESETS["smoke"], tmp_path, "smoke")
    with pytest.raises(UsageError, match=r"RUN: .* is a run of meta/horizon_bandit; take one of"):
        shipping.rules(folder)


def test_names_follow_from_arms():
    assert shipping.name_of("TA-LPO from PPO") == "ta_lpo_from_ppo_cartpole"
    assert shipping.name_of("LPO") == "lpo_cartpole"
    assert shipping.name_of("scheduled REINFORCE", "small") == "scheduled_reinforce_small"
