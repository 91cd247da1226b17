"""Files of the zoo are what the published arrays say."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.meta import drift_objectives, horizon_bandit, shipping
from jaxrl.core.errors import UsageError
from jaxrl.data import safe
from jaxrl.meta import zoo
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


def test_a_run_of_another_study_is_refused(tmp_path):
    folder = RunFolder.create("meta/horizon_bandit", horizon_bandit.PRESETS["smoke"], tmp_path, "smoke")
    with pytest.raises(UsageError, match=r"RUN: .* is a run of meta/horizon_bandit; take one of"):
        shipping.rules(folder)


def test_names_follow_from_arms():
    assert shipping.name_of("TA-LPO from PPO") == "ta_lpo_from_ppo_cartpole"
    assert shipping.name_of("LPO") == "lpo_cartpole"
