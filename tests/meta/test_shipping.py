"""Files of the zoo are what the published arrays say."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.meta import drift_objectives, horizon_bandit, schedules, shipping
from jaxrl.core.errors import UsageError
from jaxrl.data import safe
from jaxrl.meta import zoo
from jaxrl.meta.objective import MASKS, Time
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
    zoo.save(**made["ta_dpo_cartpole"], folder=tmp_path / "zoo")
    entry, network = zoo.load("ta_dpo_cartpole", folder=tmp_path / "zoo"), zoo.load("ta_lpo_cartpole")
    assert entry.objective.name == "TA-DPO"
    names = result["rule"].tolist()
    own, theirs = (result["returns"][names.index(n), 1] for n in ("ta_lpo_cartpole, closed form", names[3]))
    lost = entry.record["evaluation"]["minus ta_lpo_cartpole"]
    assert names[3] == "ta_lpo_cartpole" and abs(lost["mean"] - float((own - theirs).mean())) < 0.01
    ratio, advantage = jnp.exp(jnp.linspace(-0.6, 0.6, 60)), jnp.resize(jnp.array([-1.0, 0.5, 1.5]), 60)
    at = ratio, jnp.log(ratio), advantage, Time(20.0, 40.0, MASKS["n/N"])
    f, closed = (np.asarray(e.objective.apply(e.phi, *at)) for e in (network, entry))
    assert np.square(closed - f).sum() < 0.02 * np.square(f).sum()


def test_a_run_of_another_study_is_refused(tmp_path):
    folder = RunFolder.create("meta/horizon_bandit", horizon_bandit.PRESETS["smoke"], tmp_path, "smoke")
    with pytest.raises(UsageError, match=r"RUN: .* is a run of meta/horizon_bandit; take one of"):
        shipping.rules(folder)


def test_names_follow_from_arms():
    assert shipping.name_of("TA-LPO from PPO") == "ta_lpo_from_ppo_cartpole"
    assert shipping.name_of("LPO") == "lpo_cartpole"
