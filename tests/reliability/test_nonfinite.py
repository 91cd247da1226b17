"""A member that diverges is named, frozen, and harms nobody."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import NumericalFailure
from tests.reliability import toy_run
from tests.reliability.processes import run as run_script

GOOD = (0.1, 0.2, 0.1, 0.05)
BAD = (0.1, 1e30, 0.1, 0.05)


def members(trained, index):
    """State and history of some members."""
    state = trained.state.replace(key=jax.random.key_data(trained.state.key))
    return jax.tree.map(lambda x: np.asarray(x)[index], state), {
        name: x[:, index] for name, x in trained.history.items()
    }


@pytest.mark.parametrize("lane", [1, 2])
def test_the_others_equal_a_clean_run(lane):
    clean = toy_run.run(toy_run.Config(lr=GOOD, lane=lane))
    broken = toy_run.run(toy_run.Config(lr=BAD, lane=lane))
    others = np.array([0, 2, 3])
    jax.tree.map(np.testing.assert_array_equal, members(clean, others), members(broken, others))
    assert broken.diverged.tolist() == [False, True, False, False]
    assert not clean.diverged.any()


def test_divergence_ends_with_status_4_and_names_the_member(tmp_path):
    folder = toy_run.new_folder(tmp_path, lr=BAD, updates=40)
    status, text = run_script(folder.path)
    assert status == 4
    trained = toy_run.run(toy_run.Config(lr=BAD))
    update = min(int(x[1]) for x in trained.first_bad.values() if x[1] >= 0)
    name = next(
        n for n in ("reward", "loss", "goal", "visits", "params") if trained.first_bad[n][1] == update
    )
    assert (
        f"NonFinite: run toys/q, seed 1: '{name}' at update {update} (env step {update * 100}); "
        "no finite checkpoint; replay with --debug-nan --from 0" in text
    )
    assert folder.status["state"] == "failed" and folder.status["exit_code"] == 4
    assert folder.load_result()["last"].shape == (4,)  # saved before the run was called a failure
    last = folder.read_metrics()[-1]
    assert last["loss"][1] is None and None not in last["loss"][2:]


def test_a_message_names_quantity_update_and_member(tmp_path):
    config = toy_run.Config(poison=(5, 2))
    trained = toy_run.run(config)
    assert trained.first_bad["reward"].tolist() == [-1, -1, 5, -1]
    assert trained.first_bad["params"].tolist() == [-1, -1, 5, -1]
    assert trained.state.updates.tolist() == [40, 40, 6, 40]
    folder = toy_run.new_folder(tmp_path, poison=(15, 2))
    message = r"seed 2: 'reward' at update 15 \(env step 1 500\); last finite checkpoint 10; replay"
    with pytest.raises(NumericalFailure, match=message), folder.session():
        toy_run.run(toy_run.Config(poison=(15, 2)), folder)
    records = {r["update"]: r for r in folder.read_metrics()}
    assert "nonfinite" not in records[12]
    assert {"reward", "loss"} <= set(records[16]["nonfinite"]) and records[16]["reward"][2] is None
    assert "nonfinite" not in records[20]  # frozen: absent, not broken again
    assert (
        folder.checkpoints / "train" / "10"
    ).is_dir()  # kept for the replay although three newer ones exist


def test_replay_names_the_primitive(tmp_path):
    config = toy_run.Config(lr=BAD)
    folder = toy_run.new_folder(tmp_path, lr=BAD)
    toy_run.run(config, folder)
    folder.debug_nan = True
    before = folder.read_metrics()
    with pytest.raises(
        NumericalFailure, match=r"seed 1: .* not finite at update \d+: .*(primitive|overflowed)"
    ):
        toy_run.run(config, folder)
    assert folder.read_metrics() == before


def test_stop_raises_at_once_and_ignore_goes_on():
    with pytest.raises(NumericalFailure, match="seed 2: 'reward' at update 5"):
        toy_run.run(toy_run.Config(poison=(5, 2), on_nonfinite="stop", chunk=3))
    trained = toy_run.run(toy_run.Config(poison=(5, 2), on_nonfinite="ignore"))
    assert trained.state.updates.tolist() == [40] * 4
    assert trained.first_bad["reward"].tolist() == [-1, -1, 5, -1]
