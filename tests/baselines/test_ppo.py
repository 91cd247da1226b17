"""PPO against formulas written out independently, and on problems whose optimum is known."""

import dataclasses
from dataclasses import dataclass

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.baselines import ppo
from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_numbers
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Step
from jaxrl.envs.control.acrobot import Acrobot
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.rollout.evaluate import evaluate
from jaxrl.rollout.unroll import Freeze, unroll

SMALL = ppo.Config(n_envs=8, length=16, epochs=2, minibatches=2, widths=(8,))


@dataclass(frozen=True)
class Still:
    """Pays (1, 2) per step for ever; a limit of 5 steps cuts it. V = (1, 2) / (1 - gamma)."""

    name: str = "Still"
    reward_dim: int = 2
    observation_space = Box(0.0, 1.0, (1,))
    action_space = Discrete(2)

    def default_params(self):
        return jnp.float32(1)

    def time_limit(self, params):
        return jnp.int32(5)

    def reset(self, key, params):
        return jnp.zeros(()), jnp.ones(1)

    def step(self, key, state, action, params):
        return state, Step(jnp.ones(1), params * jnp.array([1.0, 2.0]), jnp.asarray(False), {})


@dataclass(frozen=True)
class TMaze:
    """A cue at the first step, two blank steps, then the answer: +1 for the cue, -1 for the other.

    Without memory the last observation is the same for both cues, so that every policy has expected return 0.
    """

    name: str = "TMaze"
    reward_dim: None = None
    observation_space = Box(-1.0, 1.0, (2,))
    action_space = Discrete(2)

    def default_params(self):
        return jnp.float32(1)

    def reset(self, key, params):
        cue = jax.random.bernoulli(key).astype(jnp.int32)
        return (cue, jnp.int32(0)), jnp.stack([2.0 * cue - 1, jnp.float32(0)])

    def step(self, key, state, action, params):
        cue, t = state
        last = t == 2
        reward = jnp.where(last, jnp.where(action == cue, params, -params), 0.0)
        obs = jnp.stack([jnp.float32(0), (t == 1).astype(jnp.float32)])
        return (cue, t + 1), Step(obs, reward, last, {})


@dataclass(frozen=True)
class Reach:
    """Continuous: reward -|a - target|, one step per episode."""

    name: str = "Reach"
    reward_dim: None = None
    observation_space = Box(-1.0, 1.0, (1,))
    action_space = Box(-1.0, 1.0, (1,))

    def default_params(self):
        return jnp.float32(1)

    def reset(self, key, params):
        target = jax.random.uniform(key, (1,), minval=-0.8, maxval=0.8)
        return target, target

    def step(self, key, state, action, params):
        return state, Step(state, -params * jnp.abs(action - state).sum(), jnp.asarray(True), {})


def _start(config, env, surrogate=ppo.clipped_surrogate, hyper=None, **options):
    algorithm = ppo.make(config, env, surrogate, **options)
    hyper = ppo.Hyper() if hyper is None else hyper
    data = env.default_params()
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    return algorithm, jax.jit(algorithm.step), state, hyper, data


def _many(algorithm, n):
    return jax.jit(lambda s, h, d: jax.lax.scan(lambda s, _: algorithm.step(s, h, d), s, None, length=n))


def _loop_gae(reward, value, next_value, terminated, done, gamma, lambda_):
    """Advantages [T, N] by the definition, one sum per start."""
    steps, n = reward.shape
    out = np.zeros((steps, n))
    for i in range(n):
        for t in range(steps):
            weight = 1.0
            for u in range(t, steps):
                bootstrap = 0.0 if terminated[u, i] else gamma * next_value[u, i]
                out[t, i] += weight * (reward[u, i] + bootstrap - value[u, i])
                if done[u, i]:
                    break
                weight *= gamma * lambda_
    return out


def test_one_update_is_the_gradient_of_the_written_loss():
    config = ppo.Config(n_envs=6, length=30, epochs=2, minibatches=1, widths=(5,))
    hyper = ppo.Hyper(lr=0.5, entropy=0.1, value_coef=0.3, max_grad_norm=1e6, clip=0.1)
    env = CartPole()
    algorithm, step, state, hyper, _ = _start(config, env, hyper=hyper, optimiser=optax.identity())
    data = env.default_params()._replace(max_steps=jnp.int32(14))
    got, _ = step(state, hyper, data)

    k_roll, _ = jax.random.split(stream(state.key, 0))
    policy = algorithm.act(state, hyper, greedy=False)
    _, batch, _ = jax.jit(lambda v, k: unroll(env, policy, v, k, data, length=30, gamma=hyper.gamma))(
        state.vec, k_roll
    )
    assert batch.truncated.any() and batch.terminated.any()

    def dense(p, x):
        h = jnp.tanh(x @ p["Dense_0"]["kernel"] + jnp.broadcast_to(p["Dense_0"]["bias"], (*x.shape[:-1], 5)))
        out = h @ p["Dense_1"]["kernel"]
        return out + jnp.broadcast_to(p["Dense_1"]["bias"], out.shape)

    value = np.asarray(dense(state.params["critic"], batch.obs))[..., 0]
    next_value = np.asarray(dense(state.params["critic"], batch.next_obs))[..., 0]
    done = np.asarray(batch.done)
    terminated = np.asarray(batch.terminated)
    advantage = _loop_gae(np.asarray(batch.reward), value, next_value, terminated, done, 0.99, 0.95)
    target = advantage + value
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)

    def loss(params):
        logits = jax.nn.log_softmax(dense(params["actor"], batch.obs))
        log_prob = jnp.take_along_axis(logits, batch.action[..., None], -1)[..., 0]
        ratio = jnp.exp(log_prob - batch.aux["log_prob"])
        gain = jnp.minimum(ratio * advantage, jnp.clip(ratio, 0.9, 1.1) * advantage)
        v = dense(params["critic"], batch.obs)[..., 0]
        error = jnp.maximum((v - target) ** 2, (value + jnp.clip(v - value, -0.1, 0.1) - target) ** 2)
        entropy = -(jnp.exp(logits) * logits).sum(-1)
        return -gain.mean() + 0.3 * 0.5 * error.mean() - 0.1 * entropy.mean()

    expected = state.params
    for _ in range(2):
        grads = jax.jit(jax.grad(loss))(expected)
        expected = jax.tree.map(lambda p, g: p - 0.5 * g, expected, grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), got.params, expected)


def _largest_deviation(ratio, advantage, progress, extra):
    return jnp.full_like(ratio, jnp.abs(ratio - 1).max())


@pytest.mark.parametrize(
    ("env", "options"),
    [
        (CartPole(), {"memory": 6, "shuffle": "envs"}),
        (Reach(), {"squash": True, "free_log_std": False}),
    ],
)
def test_first_ratio_is_one_with_observation_normalisation(env, options):
    config = ppo.Config(
        n_envs=8, length=16, epochs=1, minibatches=1, widths=(8,), normalise_obs=True, **options
    )
    algorithm, _, state, hyper, data = _start(config, env, _largest_deviation, ppo.Hyper(lr=3e-3))
    state, metrics = _many(algorithm, 4)(state, hyper, data)
    assert float(jnp.abs(state.moments.mean).max()) > 0
    np.testing.assert_allclose(metrics["policy_loss"], 0.0, atol=1e-6)
    np.testing.assert_allclose(metrics["approx_kl"], 0.0, atol=1e-6)
    np.testing.assert_array_equal(metrics["clip_fraction"], 0.0)


def test_moments_are_those_of_all_raw_features():
    config = ppo.Config(n_envs=8, length=16, epochs=1, minibatches=1, widths=(8,), normalise_obs=True)
    env = CartPole()
    algorithm, step, state, hyper, data = _start(config, env)
    seen = []
    for u in range(2):
        k_roll, _ = jax.random.split(stream(state.key, u))
        policy = algorithm.act(state, hyper, greedy=False)
        _, batch, _ = unroll(env, policy, state.vec, k_roll, data, length=16, gamma=hyper.gamma)
        seen.append(np.asarray(batch.obs).reshape(-1, 4))
        state, _ = step(state, hyper, data)
    seen = np.concatenate(seen)
    np.testing.assert_allclose(state.moments.mean, seen.mean(0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(state.moments.var, seen.var(0), rtol=1e-4, atol=1e-6)


def test_surrogate_sees_progress_and_its_own_numbers():
    def surrogate(ratio, advantage, progress, extra):
        assert set(extra) == {"log_ratio", "advantages", "samples", "hyper"}
        wrong = jnp.abs(jnp.exp(extra["log_ratio"]) - ratio).max()
        return jnp.full_like(ratio, progress * extra["hyper"].surrogate["phi"] + 1e3 * wrong)

    hyper = ppo.Hyper(updates_total=5.0, surrogate={"phi": 3.0})
    algorithm, _, state, hyper, data = _start(SMALL, CartPole(), surrogate, hyper)
    _, metrics = _many(algorithm, 4)(state, hyper, data)
    np.testing.assert_allclose(metrics["policy_loss"], [0.0, -0.6, -1.2, -1.8], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "shape"),
    [({}, (16,)), ({"shuffle": "envs"}, (16,)), ({"shuffle": "envs", "memory": 3}, (8, 2))],
)
def test_surrogate_sees_its_minibatch(options, shape):
    def surrogate(ratio, advantage, progress, extra):
        samples = extra["samples"]
        assert ratio.shape == samples.target.shape == samples.advantage.shape == shape
        # before the first step the ratio is 1 and the target the value plus the advantage
        return jnp.abs(samples.target - samples.value - samples.advantage) + jnp.abs(
            samples.advantages - extra["advantages"]
        )

    config = ppo.Config(n_envs=4, length=8, minibatches=2, widths=(4,), **options)
    _, step, state, hyper, data = _start(config, CartPole(), surrogate)
    _, metrics = step(state, hyper, data)
    assert abs(float(metrics["policy_loss"])) < 1e-6


def test_another_learning_step_replaces_the_epochs():
    def learn(parts, state, samples, hyper, key):
        assert samples.target.shape == (16, 8) and parts.config == SMALL
        params, opt_state, metrics = ppo.proximal_epochs(parts, state, samples, hyper, key)
        changed = params | {"actor": jax.tree.map(lambda x: x + 1, state.params["actor"])}
        return changed, opt_state, metrics | {"mine": samples.target.mean()}

    _, step, state, hyper, data = _start(SMALL, CartPole())
    _, other, _, _, _ = _start(SMALL, CartPole(), learn=learn)
    ours, metrics = step(state, hyper, data)
    theirs, named = other(state, hyper, data)
    chex.assert_trees_all_equal(theirs.params["critic"], ours.params["critic"])
    chex.assert_trees_all_equal(theirs.opt_state, ours.opt_state)
    chex.assert_trees_all_equal(theirs.params["actor"], jax.tree.map(lambda x: x + 1, state.params["actor"]))
    assert set(named) == {*metrics, "mine"}
    assert float(metrics["loss"]) == float(named["loss"])


def test_clipped_surrogate_values():
    ratio, advantage = jnp.array([0.5, 0.9, 1.5, 1.5]), jnp.array([1.0, -1.0, 1.0, -1.0])
    extra = {"hyper": ppo.Hyper(clip=0.2)}
    got = ppo.clipped_surrogate(ratio, advantage, jnp.float32(0), extra)
    np.testing.assert_allclose(got, [0.5, -0.9, 1.2, -1.5], rtol=1e-6)


def test_vector_advantages_are_weighted_by_w():
    def surrogate(ratio, advantage, progress, extra):
        return jnp.abs(advantage - extra["advantages"] @ extra["hyper"].w)

    config = ppo.Config(n_envs=4, length=8, minibatches=1, epochs=1, normalise_advantage="none")
    hyper = ppo.Hyper(w=jnp.array([0.3, 0.7]))
    _, step, state, hyper, data = _start(config, Still(), surrogate, hyper)
    _, metrics = step(state, hyper, data)
    assert abs(float(metrics["policy_loss"])) < 1e-6
    assert metrics["explained_variance"].shape == (2,)


def test_scaling_all_weights_changes_nothing_but_their_ratio_does():
    _, step, state, hyper, data = _start(SMALL, Still(), hyper=ppo.Hyper(w=jnp.ones(2)))

    def after(*w):
        return step(state, hyper.replace(w=jnp.array(w)), data)[0].params["actor"]["Dense_0"]["kernel"]

    np.testing.assert_allclose(after(1.0, 0.5), after(4.0, 2.0), rtol=1e-4, atol=1e-6)
    assert float(jnp.abs(after(1.0, 0.0) - after(-1.0, 0.0)).max()) > 1e-4


@pytest.mark.parametrize(("bootstrap_truncated", "scale_rewards"), [(True, False), (False, True)])
def test_vector_critic_finds_its_fixed_point(bootstrap_truncated, scale_rewards):
    config = ppo.Config(
        n_envs=8,
        length=10,
        minibatches=1,
        widths=(),
        clip_value=False,
        scale_rewards=scale_rewards,
        bootstrap_truncated=bootstrap_truncated,
    )
    hyper = ppo.Hyper(lr=0.1, gamma=0.9, max_grad_norm=1e6, w=jnp.array([1.0, 0.0]))
    algorithm, _, state, hyper, data = _start(config, Still(), hyper=hyper)
    state, metrics = _many(algorithm, 150)(state, hyper, data)
    critic = state.params["critic"]["Dense_0"]
    value = critic["kernel"][0] + critic["bias"]
    if scale_rewards:
        value = value * jnp.sqrt(state.scale.moments.var)
    # the average advantage of the five steps of an episode is zero at V = total / slope (reward 1)
    total, slope, trace = 0.0, 0.0, 0.9 * 0.95
    for left in range(1, 6):
        for j in range(left):
            last = j == left - 1
            total += trace**j
            slope += trace**j * (1.0 if last and not bootstrap_truncated else 0.1)
    assert (total / slope > 9.99) == bootstrap_truncated
    np.testing.assert_allclose(value, [total / slope, 2 * total / slope], rtol=0.02)
    assert float(metrics["train/truncated"].total[-1]) == 16.0


def test_scaled_rewards_do_not_scale_what_the_surrogate_weighs():
    def surrogate(ratio, advantage, progress, extra):
        return extra["advantages"] @ extra["hyper"].surrogate

    config = ppo.Config(n_envs=8, length=10, minibatches=1, epochs=1, widths=(), scale_rewards=True)
    hyper = ppo.Hyper(w=jnp.ones(2), surrogate=jnp.ones(2))
    _, step, state, hyper, data = _start(config, Still(), surrogate, hyper)
    # V = 0: advantages are sums of the rewards left in the episode, discounted by gamma lambda
    state = state.replace(params=jax.tree.map(jnp.zeros_like, state.params))
    weights = 0.99 * 0.95
    mean = sum((1 - weights**k) / (1 - weights) for k in range(1, 6)) / 5
    for i in range(2):
        _, metrics = step(state, hyper.replace(surrogate=jnp.eye(2)[i]), data)
        np.testing.assert_allclose(-metrics["policy_loss"], (i + 1) * mean, rtol=1e-4)


def test_annealing_ends_at_zero_and_gradients_are_clipped():
    hyper = ppo.Hyper(lr=1.0, updates_total=8.0, anneal=1.0, max_grad_norm=1e-3)
    config = ppo.Config(n_envs=8, length=16, epochs=1, minibatches=1, widths=(8,))
    _, step, state, hyper, data = _start(config, CartPole(), hyper=hyper, optimiser=optax.identity())

    def moved(updates):
        new, metrics = step(state.replace(updates=jnp.int32(updates)), hyper, data)
        assert float(metrics["grad_norm"]) > 1e-3
        return float(optax.tree.norm(jax.tree.map(jnp.subtract, new.params, state.params)))

    assert moved(8) == 0.0
    np.testing.assert_allclose(moved(0), 1e-3, rtol=1e-3)
    np.testing.assert_allclose(moved(6), 0.25e-3, rtol=1e-3)


def test_update_is_differentiable_in_the_hyper_parameters():
    config = ppo.Config(n_envs=8, length=16, epochs=2, minibatches=1, widths=(8,), clip_value=False)
    algorithm, _, state, hyper, data = _start(config, CartPole(), hyper=ppo.Hyper(clip=10.0))
    x = jax.random.normal(jax.random.key(5), (4,))

    def outer(numbers):
        changed = hyper.replace(lr=numbers[0], gamma=numbers[1], entropy=numbers[2])
        new, _ = algorithm.step(state, changed, data)
        h = jnp.tanh(x @ new.params["critic"]["Dense_0"]["kernel"])
        return (h @ new.params["critic"]["Dense_1"]["kernel"])[0] + new.params["actor"]["Dense_0"][
            "kernel"
        ].sum()

    point = jnp.array([3e-2, 0.9, 0.05])
    f = jax.jit(jax.value_and_grad(outer))
    _, got = f(point)
    for i in range(3):
        h = jnp.zeros(3).at[i].set(2e-3)
        slope = (f(point + h)[0] - f(point - h)[0]) / 4e-3
        np.testing.assert_allclose(got[i], slope, rtol=0.05, atol=5e-3)


def test_environments_over_four_devices_equal_one_device():
    # without minibatches the order of rows or environments does not matter either
    config = ppo.Config(
        n_envs=8, length=16, epochs=3, minibatches=1, widths=(8,), normalise_obs=True, scale_rewards=True
    )
    hyper = ppo.Hyper(lr=0.1, max_grad_norm=1e6)
    env, axis = CartPole(), "data"
    _, step, state, hyper, data = _start(config, env, hyper=hyper, optimiser=optax.identity())
    mesh = spmd.mesh(axis)
    assert mesh.size == 4
    by_envs = dataclasses.replace(config, shuffle="envs")
    sharded = spmd.data_parallel(
        ppo.make(by_envs, env, optimiser=optax.identity(), axis=axis), mesh, ppo.state_specs(axis)
    )
    step_sharded = jax.jit(sharded.step)
    one, many = state, state
    for _ in range(2):
        one, metrics = step(one, hyper, data)
        many, metrics_sharded = step_sharded(many, hyper, data)
    np.testing.assert_array_equal(one.vec.elapsed, many.vec.elapsed)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        (one.params, one.moments, one.scale, metrics),
        (many.params, many.moments, many.scale, metrics_sharded),
    )


def test_memory_solves_what_no_memoryless_policy_can():
    hyper = ppo.Hyper(lr=5e-3, gamma=1.0)
    scores = {}
    for memory in (0, 8):
        config = ppo.Config(n_envs=64, length=9, minibatches=2, widths=(8,), memory=memory, shuffle="envs")
        algorithm, _, state, hyper, data = _start(config, TMaze(), hyper=hyper)
        _, metrics = _many(algorithm, 60)(state, hyper, data)
        last = metrics["train/return"]
        scores[memory] = float(last.total[-20:].sum() / last.count[-20:].sum())
    # 20 windows of 192 episodes with returns +-1: 4.9 standard errors are 0.079, false alarm 1e-6
    assert abs(scores[0]) < 0.079
    assert scores[8] > 0.9


def test_parameters_per_environment():
    config = ppo.Config(n_envs=4, length=10, minibatches=1, epochs=1, params_axis=0)
    algorithm = ppo.make(config, Still())
    hyper, data = ppo.Hyper(w=jnp.ones(2), gamma=0.9), jnp.arange(4.0)
    state = jax.jit(algorithm.init)(jax.random.key(0), hyper, data)
    state, metrics = jax.jit(algorithm.step)(state, hyper, data)
    stats = metrics["train/return"]
    np.testing.assert_allclose(stats.total / stats.count, [5 * 1.5, 10 * 1.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"n_envs": 0}, "n_envs"),
        ({"n_envs": "8"}, "n_envs"),
        ({"length": 0}, "length"),
        ({"epochs": 0}, "epochs"),
        ({"minibatches": -1}, "minibatches"),
        ({"minibatches": 3}, "minibatches"),
        ({"minibatches": 128, "shuffle": "envs"}, "minibatches"),
        ({"memory": -1}, "memory"),
        ({"memory": 8}, "shuffle"),
        ({"widths": (64, 0)}, r"widths\[1\]"),
        ({"widths": 64}, "widths"),
        ({"shuffle": "columns"}, "shuffle"),
        ({"normalise_advantage": True}, "normalise_advantage"),
        ({"params_axis": 1}, "params_axis"),
        ({"reset": Freeze()}, "reset"),
        ({"activation": "sine"}, "activation"),
    ],
)
def test_config_names_the_field(fields, name):
    with pytest.raises(UsageError, match=rf"^Config\.{name}: [^\n]+$"):
        ppo.Config(**fields)


def test_config_takes_lists():
    assert ppo.Config(widths=[8, 8]) == ppo.Config(widths=(8, 8))


@pytest.mark.parametrize(
    ("name", "value"),
    [("gamma", 1.5), ("gamma", 99.0), ("lr", -1.0), ("updates_total", 0.0), ("clip", -0.1), ("anneal", 2.0)],
)
def test_hyper_names_the_field(name, value):
    with pytest.raises(UsageError, match=rf"^Hyper\.{name}: must be [^\n]+$"):
        check_numbers(ppo.Hyper(**{name: value}))


@dataclass(frozen=True)
class Spaces:
    """The spaces of an environment, and nothing else."""

    action_space: object
    name: str = "Spaces"
    reward_dim: int | None = None
    observation_space = Box(-1.0, 1.0, (2,))


@pytest.mark.parametrize(
    ("space", "options"),
    [
        ((Discrete(2), Box(-1.0, 1.0, (1,))), {}),
        (Box(0, 5, (1,), np.int32), {}),
        (Box(-np.inf, np.inf, (1,)), {"squash": True}),
    ],
)
def test_make_names_the_environment_and_the_space(space, options):
    with pytest.raises(UsageError, match=r"^Spaces: action_space: [^\n]+$"):
        ppo.make(ppo.Config(**options), Spaces(space))


SCALED = ppo.Config(normalise_obs=True, scale_rewards=True)


LONGER = ppo.Config(normalise_obs=True, scale_rewards=True, epochs=10, minibatches=8)


ANNEALED = ppo.Hyper(anneal=1.0, updates_total=62.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "config", "hyper", "updates", "score"),
    [
        (CartPole(), ppo.Config(scale_rewards=True), ANNEALED, 62, 499.0),
        (Acrobot(), SCALED, ANNEALED, 62, -100.0),
        (Pendulum(), LONGER, ppo.Hyper(gamma=0.95, entropy=0.0), 60, -200.0),
    ],
    ids=lambda x: getattr(x, "name", None),
)
def test_known_score(env, config, hyper, updates, score):
    algorithm, data = ppo.make(config, env), env.default_params()

    def member(key):
        k_algo, k_eval = jax.random.split(key)
        state = algorithm.init(k_algo, hyper, data)
        state, _ = jax.lax.scan(lambda s, _: algorithm.step(s, hyper, data), state, length=updates)
        return evaluate(env, algorithm.act(state, hyper, greedy=True), k_eval, data, episodes=64).returns

    returns = jax.jit(lambda keys: jax.lax.map(member, keys))(jax.random.split(jax.random.key(0), 3))
    assert np.all(np.asarray(returns).mean(axis=1) > score), np.asarray(returns).mean(axis=1)
