import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.baselines import bc
from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_numbers
from jaxrl.core.spaces import Box, Discrete
from jaxrl.data.dataset import from_arrays, from_occupancy
from jaxrl.envs.tabular.generators import random_mdp

UNIT = Box(-1.0, 1.0, (2,))


def dataset(obs, action, reward=None, ends=None):
    """Rows of episodes that end where `ends` is set (default: at every row)."""
    n = len(obs)
    ends = np.ones(n, bool) if ends is None else np.asarray(ends)
    arrays = {
        "obs": obs,
        "action": action,
        "next_obs": obs,
        "terminated": ends,
        "truncated": np.zeros(n, bool),
    }
    return from_arrays(arrays | {"reward": np.zeros(n) if reward is None else np.asarray(reward, float)})


def train(config, spaces, data, hyper, updates):
    """`(algorithm, state, losses)` after `updates` updates in one scan."""
    algorithm = bc.make(config, *spaces)

    @jax.jit
    def learn(data):
        state = algorithm.init(jax.random.key(0), hyper, data)
        return jax.lax.scan(lambda s, _: algorithm.step(s, hyper, data), state, None, length=updates)

    state, metrics = learn(data)
    return algorithm, state, metrics["loss"]


def probabilities(state, n):
    """pi(a | s) of a table of logits, the linear network on one-hot states."""
    layer = state.params["Dense_0"]
    return jax.nn.softmax(layer["kernel"] + layer["bias"][None], axis=-1)[:n]


@pytest.fixture(scope="module")
def table():
    """400 rows of 3 states and 4 actions; every pair occurs."""
    rng = np.random.default_rng(0)
    obs = rng.choice(3, 400, p=[0.6, 0.3, 0.1])
    action = np.array(
        [rng.choice(4, p=[[0.7, 0.1, 0.1, 0.1], [0.25] * 4, [0.1, 0.2, 0.3, 0.4]][s]) for s in obs]
    )
    return obs, action


def frequencies(obs, action, weights):
    counts = np.zeros((3, 4))
    np.add.at(counts, (obs, action), weights)
    return counts / counts.sum(-1, keepdims=True)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_table_of_logits_reaches_the_conditional_frequencies(table, weighted):
    obs, action = table
    weights = np.random.default_rng(1).uniform(size=400).astype(np.float32) if weighted else np.ones(400)
    data = dataset(obs, action)
    if weighted:
        data = data.replace(mask=jnp.asarray(weights))
    config = bc.Config(batch_size=None, widths=())
    _, state, losses = train(config, (Discrete(3), Discrete(4)), data, bc.Hyper(lr=0.05), 800)
    expected = frequencies(obs, action, weights)
    np.testing.assert_allclose(probabilities(state, 3), expected, atol=1e-4)
    entropy = -np.average(np.log(expected[obs, action]), weights=weights)
    np.testing.assert_allclose(losses[-1], entropy, rtol=1e-5)


def test_minibatches_draw_in_proportion_to_the_mask(table):
    """Weights count once: neither ignored nor squared by drawing and weighting."""
    obs, action = table
    weights = np.where(np.arange(400) % 2 == 0, 1.0, 0.2).astype(np.float32)
    data = dataset(obs, action).replace(mask=jnp.asarray(weights))
    config = bc.Config(batch_size=512, widths=())
    _, state, _ = train(config, (Discrete(3), Discrete(4)), data, bc.Hyper(lr=0.01), 1500)
    found, expected = probabilities(state, 3), frequencies(obs, action, weights)
    squared, ignored = frequencies(obs, action, weights**2), frequencies(obs, action, np.ones(400))
    distance = np.abs(found - expected).max()
    assert distance < 0.02
    assert distance < min(np.abs(found - squared).max(), np.abs(found - ignored).max())


def test_clones_the_policy_of_an_occupancy_measure():
    """Exact masses instead of samples: the clone is the policy itself."""
    mdp = random_mdp(jax.random.key(0), 3, 4)
    policy = np.random.default_rng(2).dirichlet(np.ones(4) * 2, 3)
    data = from_occupancy(np.array([0.5, 0.3, 0.2])[:, None] * policy, mdp)
    config = bc.Config(batch_size=None, widths=())
    _, state, _ = train(config, (Discrete(3), Discrete(4)), data, bc.Hyper(lr=0.05), 800)
    np.testing.assert_allclose(probabilities(state, 3), policy, atol=1e-4)


def test_a_linear_gaussian_policy_is_least_squares():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3)).astype(np.float32)
    action = 0.2 * x @ rng.normal(size=(3, 2)) + 0.1 + 0.05 * rng.normal(size=(200, 2))
    data = dataset(x, action.astype(np.float32))
    spaces = (Box(-np.inf, np.inf, (3,)), UNIT)
    _, state, _ = train(bc.Config(batch_size=None, widths=()), spaces, data, bc.Hyper(lr=0.01), 3000)
    design = np.concatenate([x, np.ones((200, 1))], -1)
    solution, squares, _, _ = np.linalg.lstsq(design, action, rcond=None)
    layer = state.params["mean"]["Dense_0"]
    np.testing.assert_allclose(layer["kernel"], solution[:3], atol=2e-3)
    np.testing.assert_allclose(layer["bias"], solution[3], atol=2e-3)
    np.testing.assert_allclose(jnp.exp(state.params["log_std"]), np.sqrt(squares / 200), rtol=0.02)


def test_squashed_policies_clone_actions_on_the_bounds():
    action = np.tile(np.array([[1.0, -0.5]], np.float32), (64, 1))
    data = dataset(np.zeros((64, 1), np.float32), action)
    config = bc.Config(batch_size=32, widths=(8,), squash=True)
    spaces = (Box(0.0, 1.0, (1,)), UNIT)
    algorithm, state, losses = train(config, spaces, data, bc.Hyper(lr=0.03), 500)
    assert bool(jnp.all(jnp.isfinite(losses)))
    greedy, _, _ = algorithm.act(state, bc.Hyper(), True).act(jax.random.key(0), jnp.zeros(1), ())
    np.testing.assert_allclose(greedy, action[0], atol=0.02)


def test_policies_of_a_discrete_clone(table):
    obs, action = table
    config = bc.Config(batch_size=None, widths=())
    algorithm, state, _ = train(
        config, (Discrete(3), Discrete(4)), dataset(obs, action), bc.Hyper(lr=0.05), 800
    )
    expected = frequencies(obs, action, np.ones(400))
    greedy = algorithm.act(state, bc.Hyper(), True).act(jax.random.key(0), jnp.int32(2), ())[0]
    assert int(greedy) == expected[2].argmax()
    keys = jax.random.split(jax.random.key(1), 4000)
    policy = algorithm.act(state, bc.Hyper(), False)
    drawn, _, _ = jax.vmap(policy.act, (0, None, None))(keys, jnp.int32(2), ())
    # five standard errors of a frequency of 4000 draws
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, expected[2], atol=0.04)


def test_best_episodes_keeps_whole_episodes_of_highest_return():
    """Episodes of returns 3, 10, 2, 7 and lengths 2, 1, 3, 1; both fractions keep two."""
    ends = np.array([0, 1, 1, 0, 0, 1, 1], bool)
    data = dataset(np.zeros((7, 1)), np.zeros(7, int), reward=[1, 2, 10, 0, 1, 1, 7], ends=ends)
    for fraction, kept in ((0.5, [0, 0, 1, 0, 0, 0, 1]), (0.33, [0, 0, 1, 0, 0, 0, 1]), (1.0, [1] * 7)):
        np.testing.assert_array_equal(bc.best_episodes(data, fraction).mask, np.array(kept, bool))
    masked = data.replace(mask=jnp.float32([1, 1, 0, 1, 1, 1, 0.5]))
    np.testing.assert_array_equal(bc.best_episodes(masked, 0.5).mask, np.float32([1, 1, 0, 0, 0, 0, 0.5]))


def test_percent_bc_clones_the_best_episodes_only():
    """Good episodes play action 1, bad ones action 0: plain BC mixes them, %BC does not."""
    n = 40
    action = np.arange(n) % 2
    data = dataset(np.zeros(n, int), action, reward=action.astype(float))
    config, spaces = bc.Config(batch_size=None, widths=()), (Discrete(1), Discrete(2))
    _, plain, _ = train(config, spaces, data, bc.Hyper(lr=0.05), 300)
    _, best, _ = train(config, spaces, bc.best_episodes(data, 0.5), bc.Hyper(lr=0.05), 300)
    np.testing.assert_allclose(probabilities(plain, 1)[0], [0.5, 0.5], atol=1e-3)
    assert float(probabilities(best, 1)[0, 1]) > 0.99


OBS, UNBOUNDED = Box(0.0, 1.0, (1,)), Box(-np.inf, np.inf, (1,))


def vector_rewards():
    """Two rows with rewards of three components."""
    zeros, ends = np.zeros((2, 1)), {"terminated": np.ones(2, bool), "truncated": np.zeros(2, bool)}
    arrays = {"obs": zeros, "next_obs": zeros, "action": np.zeros(2, int), "reward": np.zeros((2, 3))}
    return from_arrays(arrays | ends, reward_dim=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bc.Config(batch_size=0), r"Config\.batch_size: must be >= 1 or None, got 0"),
        (lambda: bc.Config(widths=(-1,)), r"Config\.widths\[0\]: must be >= 1"),
        (lambda: bc.Config(activation="cosine"), r"Config\.activation: must be one of .*'cosine'"),
        (lambda: check_numbers(bc.Hyper(lr=-1.0)), r"Hyper\.lr: must be >= 0"),
        (lambda: bc.make(bc.Config(), OBS, (Discrete(2), UNIT)), "action_space: .* use"),
        (lambda: bc.make(bc.Config(squash=True), OBS, UNBOUNDED), "action_space: .* finite bounds"),
        (
            lambda: bc.best_episodes(dataset(np.zeros(2), np.zeros(2, int)), 0.0),
            r"fraction: must lie in \(0, 1\]",
        ),
        (
            lambda: bc.best_episodes(dataset(np.zeros(2), np.zeros(2, int)), 2.0),
            r"fraction: must lie in \(0, 1\]",
        ),
        (
            lambda: bc.best_episodes(dataset(np.zeros(2), np.zeros(2, int)), float("nan")),
            "fraction: must lie",
        ),
        (lambda: bc.best_episodes(vector_rewards(), 0.5), r"data\.reward: .* scalarise"),
    ],
)
def test_refusals_name_the_field_and_the_fix(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("batch_size", [8, None])
def test_batches_over_four_devices_equal_one_device(batch_size):
    """Plain gradient steps: an optimiser that rescales would hide a factor."""
    rng = np.random.default_rng(0)
    data = dataset(
        rng.normal(size=(16, 3)).astype(np.float32), rng.uniform(-1, 1, (16, 2)).astype(np.float32)
    )
    data = data.replace(mask=jnp.float32(rng.uniform(0.1, 1.0, 16)))
    config, spaces = bc.Config(batch_size=batch_size, widths=(4,)), (Box(-9.0, 9.0, (3,)), UNIT)
    one = bc.make(config, *spaces, optimiser=optax.identity())
    split = bc.make(config, *spaces, optimiser=optax.identity(), axis="data")
    many = spmd.data_parallel(split, spmd.mesh("data"), spmd.P())
    ends = []
    for algorithm in (one, many):
        state, step = jax.jit(one.init)(jax.random.key(0), bc.Hyper(lr=0.1), data), jax.jit(algorithm.step)
        for _ in range(3):
            state, metrics = step(state, bc.Hyper(lr=0.1), data)
        ends.append((state.params, metrics))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6), *ends)


def test_cloning_a_constant_action_stays_finite():
    """The likelihood has no maximum: the standard deviation shrinks for ever, down to the head's clip."""
    data = dataset(np.zeros((8, 1), np.float32), np.zeros((8, 2), np.float32))
    config, spaces = bc.Config(batch_size=None, widths=()), (Box(0.0, 1.0, (1,)), UNIT)
    _, state, losses = train(config, spaces, data, bc.Hyper(lr=0.5), 300)
    assert jnp.isfinite(losses).all() and float(state.params["log_std"].max()) < -19
    np.testing.assert_array_equal(state.params["mean"]["Dense_0"]["bias"], [0.0, 0.0])
