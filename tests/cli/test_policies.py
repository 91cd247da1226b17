"""Policies as files: the same actions bit for bit, without a simulator, in gymnasium, of any module."""

import importlib
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import bc, ppo, value_iteration
from jaxrl.cli import policies
from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Policy
from jaxrl.data.dataset import from_arrays
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.tabular.generators import garnet
from jaxrl.envs.tabular.tabular import Tabular
from tests.run import toy

SMALL = {"n_envs": 4, "length": 8, "minibatches": 2, "epochs": 1, "widths": (8,)}


@pytest.fixture(scope="module")
def trained():
    """A PPO policy with observation statistics after one update."""
    env = CartPole()
    config = ppo.Config(**SMALL, normalise_obs=True)
    algorithm, hyper, data = ppo.make(config, env), ppo.Hyper(), env.default_params()
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    state, _ = jax.jit(algorithm.step)(state, hyper, data)
    return algorithm, state, hyper


@pytest.fixture
def stored(trained, tmp_path):
    policies.export_policy(tmp_path, *trained)
    return tmp_path


def actions(policy):
    """Actions for fixed keys and observations."""
    keys = jax.random.split(jax.random.key(5), 32)
    obs = jax.random.normal(jax.random.key(6), (32, 4))
    act = jax.jit(jax.vmap(lambda k, o: policy.act(k, o, policy.memory)[0]))
    return np.asarray(act(keys, obs))


@pytest.mark.parametrize("greedy", [True, False])
def test_a_loaded_policy_acts_bit_for_bit(trained, stored, greedy):
    algorithm, state, hyper = trained
    expected = actions(algorithm.act(state, hyper, greedy))
    assert 0 < expected.mean() < 1  # both actions occur, so that equality means something
    np.testing.assert_array_equal(actions(policies.load_policy(stored, greedy=greedy)), expected)


def test_loading_needs_no_simulator_and_no_checkpoint_library(trained, stored):
    algorithm, state, hyper = trained
    expected = actions(algorithm.act(state, hyper, True))
    code = (
        "import sys, jax, numpy as np; from jaxrl.cli.policies import load_policy\n"
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
    assert record["env"] is None
    assert record["interface"] == {"name": CartPole().name, "reward_dim": None}
    assert record["config"]["widths"] == [8]
    assert record["action_space"] == {"discrete": 2}


def test_recurrent_policies_carry_their_memory(tmp_path):
    env = CartPole()
    config = ppo.Config(**SMALL, memory=3, shuffle="envs")
    algorithm = ppo.make(config, env)
    state = jax.jit(algorithm.init)(jax.random.key(0), ppo.Hyper(), env.default_params())
    trained = algorithm, state, ppo.Hyper()
    policies.export_policy(tmp_path, *trained)
    obs = jax.random.normal(jax.random.key(1), (4,))
    memories = []
    for policy in (algorithm.act(state, ppo.Hyper(), True), policies.load_policy(tmp_path)):
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
    text = json.dumps(policies._space_to_dict(space), allow_nan=False)
    assert policies._space_from_dict(json.loads(text)) == space


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("policy.json", lambda b: b.replace(b'"format": 2', b'"format": 9')),
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
        policies.load_policy(stored)


def test_a_missing_policy_is_refused(tmp_path):
    with pytest.raises(CorruptInput, match="holds no policy"):
        policies.load_policy(tmp_path)


def test_a_state_that_has_no_json_form_is_refused():
    arrays = {}
    with pytest.raises(UsageError, match=r"state\.f: function cannot be exported"):
        policies._describe({"f": lambda: None, "x": jnp.zeros(1)}, "state", arrays)
    with pytest.raises(UsageError, match="space: str cannot be exported"):
        policies._space_to_dict("a")


def test_a_policy_of_ones_own_module_loads_where_it_is_trusted(tmp_path):
    algorithm = toy.make(toy.Config(width=4))
    state = algorithm.init(jax.random.key(0), toy.Hyper(), toy.data())
    policies.export_policy(tmp_path, algorithm, state, toy.Hyper())
    with pytest.raises(UsageError, match=r"would import tests\.run\.toy, .* trust=\('tests',\)"):
        policies.load_policy(tmp_path)
    loaded = policies.load_policy(tmp_path, trust=("tests",))
    for s in range(toy.STATES):
        expected = algorithm.act(state, toy.Hyper(), True).act(jax.random.key(0), s, ())[0]
        assert int(loaded.act(jax.random.key(0), s, ())[0]) == int(expected)


BARE = """
import jax
from jaxrl.core import simple

def choose(learned, obs, key):
    return 1 * (obs @ learned > 0)

def make(config, env):
    def start(key, hyper, data):
        return jax.random.normal(key, env.observation_space.shape)
    def update(learned, key, hyper, data):
        return learned, {}
    return simple.algorithm(config, env, start, update, choose)
"""


def test_a_module_without_a_config_stores_none_and_another_config_is_refused(tmp_path, monkeypatch):
    (tmp_path / "bare_module.py").write_text(BARE)
    monkeypatch.syspath_prepend(tmp_path)
    module, env = importlib.import_module("bare_module"), CartPole()
    algorithm = module.make(None, env)
    state = algorithm.init(jax.random.key(0), (), env.default_params())
    policies.export_policy(tmp_path / "policy", algorithm, state, ())
    loaded = policies.load_policy(tmp_path / "policy", trust=("bare_module",))
    np.testing.assert_array_equal(actions(loaded), actions(algorithm.act(state, (), True)))
    with pytest.raises(UsageError, match="bare_module has no `Config`"):
        policies.export_policy(tmp_path / "other", module.make({"width": 3}, env), state, ())


def test_a_file_does_not_choose_what_is_imported(stored):
    path = stored / "policy.json"
    path.write_text(path.read_text().replace("jaxrl.baselines.ppo", "antigravity"))
    with pytest.raises(UsageError, match="would import antigravity, which is no part of jaxrl"):
        policies.load_policy(stored)
    assert "antigravity" not in sys.modules


def test_an_algorithm_without_origin_or_in_a_script_is_refused(trained, tmp_path):
    algorithm, state, hyper = trained
    with pytest.raises(UsageError, match="the algorithm carries no origin"):
        policies.export_policy(tmp_path, algorithm._replace(origin=None), state, hyper)
    script = algorithm._replace(origin=algorithm.origin._replace(module="__main__"))
    with pytest.raises(UsageError, match="put the algorithm into a module"):
        policies.export_policy(tmp_path, script, state, hyper)


def test_policies_made_from_spaces_on_standardised_observations(tmp_path):
    """Cloning takes spaces instead of an environment; its policies see standardised observations."""
    spaces = Box(-np.inf, np.inf, (3,)), Box(-2.0, 2.0, (1,))
    algorithm = bc.make(bc.Config(widths=(8,), batch_size=4), *spaces)
    origin = algorithm.origin._replace(standardise=(np.full(3, 0.5, np.float32), np.full(3, 2.0, np.float32)))
    n = 16
    data = bc_data(n)
    state = algorithm.init(jax.random.key(0), bc.Hyper(), data)
    policies.export_policy(tmp_path, algorithm._replace(origin=origin), state, bc.Hyper())
    loaded, inner = policies.load_policy(tmp_path), algorithm.act(state, bc.Hyper(), True)
    obs = jax.random.normal(jax.random.key(1), (3,))
    expected = inner.act(jax.random.key(0), (obs - 0.5) / 2.0, inner.memory)[0]
    np.testing.assert_array_equal(loaded.act(jax.random.key(0), obs, loaded.memory)[0], expected)


def bc_data(n):
    obs, action = np.linspace(-1, 1, 3 * n).reshape(n, 3), np.linspace(-1, 1, n).reshape(n, 1)
    ends = {"terminated": np.zeros(n, bool), "truncated": np.arange(n) == n - 1}
    return from_arrays({"obs": obs, "action": action, "reward": np.zeros(n), "next_obs": obs, **ends})


def test_an_algorithm_that_asks_more_than_spaces_takes_its_environment_along(tmp_path):
    mdp = garnet(jax.random.key(0), 5, 2, 2)
    env = Tabular.of(mdp, one_hot=True)
    algorithm = value_iteration.make(value_iteration.Config(), env)
    state = algorithm.init(jax.random.key(0), value_iteration.Hyper(), mdp)
    state, _ = algorithm.step(state, value_iteration.Hyper(), mdp)
    policies.export_policy(tmp_path, algorithm, state, value_iteration.Hyper())
    loaded = policies.load_policy(tmp_path)
    best = np.argmax(np.asarray(state.q), 1)
    assert len(set(best.tolist())) > 1
    for s in range(5):
        assert int(loaded.act(jax.random.key(0), jax.nn.one_hot(s, 5), ())[0]) == best[s]


def test_a_stored_policy_plays_in_gymnasium(stored):
    gymnasium = pytest.importorskip("gymnasium")
    env = gymnasium.make("CartPole-v1")
    player = policies.load_player(stored, greedy=False, seed=3)
    chosen = []
    for episode in range(2):
        obs, _ = env.reset(seed=episode)
        player.reset()
        ended = False
        while not ended:
            chosen.append(player(obs))
            obs, _, terminated, truncated, _ = env.step(chosen[-1])
            ended = terminated or truncated
    assert {type(a) for a in chosen} == {int}
    assert set(chosen) == {0, 1}


def test_a_player_returns_arrays_of_the_space_and_keeps_its_memory():
    space = {"a": Discrete(2), "b": (Box(-1.0, 1.0, (2,)),)}

    def act(key, obs, memory):
        return {"a": memory % 2, "b": (jnp.full(2, obs),)}, (), memory + 1

    player = policies.Player(Policy(act, jnp.int32(0)), space)
    first, second = player(0.25), player(0.5)
    assert (first["a"], second["a"], type(first["a"])) == (0, 1, int)
    np.testing.assert_array_equal(second["b"][0], np.full(2, 0.5, np.float32))
    player.reset()
    assert player(0.25)["a"] == 0
