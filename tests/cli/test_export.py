"""Exports: metrics keep every member; policies give the same bits without simulator or orbax."""

import csv
import json
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import ppo
from jaxrl.cli import export
from jaxrl.cli.main import main
from jaxrl.core.errors import CorruptInput, MissingExtra, UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.run.folder import RunFolder
from tests.run import ring

SMALL = {"n_envs": 4, "length": 8, "minibatches": 2, "epochs": 1, "widths": (8,)}


@pytest.fixture(scope="module")
def trained():
    """A PPO policy with observation statistics after one update."""
    env = CartPole()
    config = ppo.Config(**SMALL, normalise_obs=True)
    algorithm, hyper, data = ppo.make(config, env), ppo.Hyper(), env.default_params()
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    state, _ = jax.jit(algorithm.step)(state, hyper, data)
    return export.TrainedPolicy("jaxrl.baselines.ppo", config, env, state, hyper)


@pytest.fixture
def stored(trained, tmp_path):
    export.export_policy(tmp_path, trained)
    return tmp_path


def actions(policy):
    """Actions for fixed keys and observations."""
    keys = jax.random.split(jax.random.key(5), 32)
    obs = jax.random.normal(jax.random.key(6), (32, 4))
    act = jax.jit(jax.vmap(lambda k, o: policy.act(k, o, policy.memory)[0]))
    return np.asarray(act(keys, obs))


@pytest.mark.parametrize("greedy", [True, False])
def test_a_loaded_policy_acts_bit_for_bit(trained, stored, greedy):
    algorithm = ppo.make(trained.config, trained.env)
    expected = actions(algorithm.act(trained.state, trained.hyper, greedy))
    assert 0 < expected.mean() < 1  # both actions occur, so that equality means something
    np.testing.assert_array_equal(actions(export.load_policy(stored, greedy=greedy)), expected)


def test_loading_needs_no_simulator_and_no_checkpoint_library(trained, stored):
    """R34, in a process of its own."""
    expected = actions(ppo.make(trained.config, trained.env).act(trained.state, trained.hyper, True))
    code = (
        "import sys, jax, numpy as np; from jaxrl.cli.export import load_policy\n"
        "policy = load_policy(sys.argv[1])\n"
        "keys = jax.random.split(jax.random.key(5), 32)\n"
        "obs = jax.random.normal(jax.random.key(6), (32, 4))\n"
        "act = jax.jit(jax.vmap(lambda k, o: policy.act(k, o, policy.memory)[0]))\n"
        "print(np.asarray(act(keys, obs)).tobytes().hex())\n"
        "print(sorted({'orbax', 'brax', 'mujoco', 'tensorstore'} & {m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(stored)], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == [expected.tobytes().hex(), "[]"]


def test_only_what_actions_depend_on_is_stored(stored):
    with np.load(stored / "policy.npz", allow_pickle=False) as file:
        names = set(file.files)
    assert names == {
        "state.moments.mean",
        "state.moments.var",
        *(f"state.params.actor.Dense_{i}.{part}" for i in (0, 1) for part in ("bias", "kernel")),
    }
    record = json.loads((stored / "policy.json").read_text())
    assert record["env"] == {"name": CartPole().name, "backend": None, "reward_dim": None}
    assert record["config"]["widths"] == [8]
    assert record["action_space"] == {"discrete": 2}


def test_recurrent_policies_carry_their_memory(tmp_path):
    env = CartPole()
    config = ppo.Config(**SMALL, memory=3, shuffle="envs")
    algorithm = ppo.make(config, env)
    state = jax.jit(algorithm.init)(jax.random.key(0), ppo.Hyper(), env.default_params())
    trained = export.TrainedPolicy("jaxrl.baselines.ppo", config, env, state, ppo.Hyper())
    export.export_policy(tmp_path, trained)
    obs = jax.random.normal(jax.random.key(1), (4,))
    memories = []
    for policy in (algorithm.act(state, ppo.Hyper(), True), export.load_policy(tmp_path)):
        memory = policy.memory
        for _ in range(3):
            memory = jax.jit(policy.act)(jax.random.key(0), obs, memory)[2]
        memories.append(np.asarray(jax.tree.leaves(memory)[0]))
    assert np.abs(memories[0]).max() > 0
    np.testing.assert_array_equal(*memories)


@pytest.mark.parametrize(
    "space",
    [
        Discrete(3),
        Box(-np.inf, np.inf, (2,)),
        Box((-1.0, -np.inf), (1.0, np.inf), (2,)),
        Box(0, 255, (2, 2), np.uint8),
        {"a": Discrete(2), "b": (Box(0.0, 1.0, ()), Discrete(5))},
    ],
)
def test_spaces_survive_json(space):
    text = json.dumps(export._space_to_dict(space), allow_nan=False)
    assert export._space_from_dict(json.loads(text)) == space


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("policy.json", lambda b: b.replace(b'"format": 1', b'"format": 9')),
        ("policy.json", lambda b: b.replace(b"jaxrl.baselines.ppo", b"os")),
        ("policy.json", lambda b: b.replace(b"jaxrl.baselines.ppo:State", b"jaxrl.baselines.ppo:make")),
        ("policy.json", lambda b: b[: len(b) // 2]),
        ("policy.npz", lambda b: b[: len(b) // 2]),
        ("policy.npz", lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:]),
        ("policy.npz", lambda b: b""),
    ],
)
def test_damaged_or_foreign_policies_are_refused(stored, file, change):
    path = stored / file
    changed = change(path.read_bytes())
    assert changed != path.read_bytes()
    path.write_bytes(changed)
    with pytest.raises(CorruptInput, match="holds no policy that can be read"):
        export.load_policy(stored)


def test_a_missing_policy_is_refused(tmp_path):
    with pytest.raises(CorruptInput, match="holds no policy"):
        export.load_policy(tmp_path)


# --------------------------------------------------------------------------------------------- from a run


@pytest.fixture
def folder(tmp_path):
    """A run with two members, written by hand."""
    root = ring.make_root(tmp_path)
    from jaxrl.run import catalogue

    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    run = RunFolder.create("toy/ring", config, root / "runs", "smoke")
    run.log({"update": 1, "loss": [0.5, float("nan")], "w": [[1.0, 2.0], [3.0, 4.0]]})
    run.log({"update": 2, "loss": [0.25, 0.125], "eval": [7.0, 8.0]})
    return run


def test_csv_has_a_column_per_member(folder, tmp_path):
    assert main(["export", str(folder.path), "--to", "csv", "--dest", str(tmp_path / "csv")]) == 0
    with open(tmp_path / "csv" / "metrics.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["loss[0]"], first["loss[1]"], first["nonfinite"]) == ("0.5", "", "loss")
    assert (first["w[1,0]"], first["eval[0]"]) == ("3.0", "")
    assert (second["update"], second["loss[1]"], second["eval[1]"], second["w[0,0]"]) == (
        "2",
        "0.125",
        "8.0",
        "",
    )


def test_parquet_gets_the_same_table_or_says_what_to_install(folder, tmp_path, monkeypatch):
    written = {}
    parquet = types.ModuleType("pyarrow.parquet")
    parquet.write_table = lambda table, path: written.update(table=table, path=path)
    pyarrow = types.ModuleType("pyarrow")
    pyarrow.table, pyarrow.parquet = dict, parquet
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    export.export_metrics(folder, tmp_path, "parquet")
    assert written["path"] == tmp_path / "metrics.parquet"
    assert written["table"]["loss[1]"] == [None, 0.125]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match="pip install pyarrow"):
        export.export_metrics(folder, tmp_path, "parquet")


def test_the_policy_of_a_run_comes_from_its_experiment(folder, trained, tmp_path):
    asked = []

    def policy(config, copy, member):
        asked.append((config, copy.config, member))
        (copy.path / "made by the restoring").write_text("")
        return trained

    module = types.SimpleNamespace(policy=policy)
    files = export.export_run(module, "config", folder, 1, tmp_path / "policy")
    assert asked == [("config", folder.config, 1)]
    assert [p.name for p in files] == ["policy.npz", "policy.json"]
    assert not (folder.path / "made by the restoring").exists()  # the run itself is only read
    with pytest.raises(UsageError, match=r"defines no policy\(config, folder, member\)"):
        export.export_run(types.SimpleNamespace(), "config", folder, 0, tmp_path)


def test_a_state_that_has_no_json_form_is_refused(trained, tmp_path):
    arrays = {}
    with pytest.raises(UsageError, match=r"state\.f: function cannot be exported"):
        export._describe({"f": lambda: None, "x": jnp.zeros(1)}, "state", arrays)
    with pytest.raises(UsageError, match="space: str cannot be exported"):
        export._space_to_dict("a")
