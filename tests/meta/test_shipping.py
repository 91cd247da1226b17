"""Files of the zoo are what the published arrays say."""

import json

import numpy as np
import pytest

from experiments.meta import shipping
from jaxrl.meta import zoo

PUBLISHED = (shipping.RESULTS / "drift_objectives-short.npz").exists()


@pytest.mark.skipif(not PUBLISHED, reason="the study has not been published")
def test_shipped_rules_are_those_of_the_published_run(tmp_path):
    entries = shipping.rules()
    assert {entry["name"] for entry in entries} <= set(zoo.names())
    for entry in entries:
        zoo.save(**entry, folder=tmp_path)
        made, shipped = (
            json.loads((folder / f"{entry['name']}.json").read_text()) for folder in (tmp_path, zoo.FOLDER)
        )
        for field in ("rule", "arguments", "features", "training", "evaluation", "command", "configuration"):
            assert made[field] == shipped[field]
        own, theirs = (np.load(folder / f"{entry['name']}.npz") for folder in (tmp_path, zoo.FOLDER))
        assert all(np.array_equal(own[k], theirs[k]) for k in (*own, *theirs))


def test_names_follow_from_arms():
    assert shipping.name_of("TA-LPO from PPO") == "ta_lpo_from_ppo_cartpole"
    assert shipping.name_of("LPO") == "lpo_cartpole"
