"""Environments of ours as gymnasium's: its checker, our rollout, and each other."""

from dataclasses import dataclass

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Step
from jaxrl.envs.adapters.gymnasium import as_gymnasium, as_gymnasium_vector, convert_space
from jaxrl.envs.adapters.gymnasium_env import as_gymnasium_space
from jaxrl.envs.control.cartpole import CartPole, CartPoleState
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.wrappers.finite_horizon import FiniteHorizon


@dataclass(frozen=True)
class Walk:
    """Counts up by 1 or 2 from a random start; ends at 6 or more, with the count as reward and info."""

    name: str = "Walk"
    reward_dim: int | None = None
    observation_space = {"n": Discrete(9), "x": (Box(0.0, 9.0, (2,)),)}  # noqa: RUF012
    action_space = (Discrete(2), Box(-1.0, 1.0, (1,)))

    def default_params(self):
        return jnp.float32(1)

    def _obs(self, n):
        return {"n": n, "x": (jnp.full(2, n, jnp.float32),)}

    def reset(self, key, params):
        n = jax.random.randint(key, (), 0, 3, jnp.int32)
        return n, self._obs(n)

    def step(self, key, state, action, params):
        n = state + 1 + action[0]
        reward = params * n.astype(jnp.float32)
        reward = reward if self.reward_dim is None else jnp.stack([reward, -reward])
        return n, Step(self._obs(n), reward, n >= 6, {"count": n})


@pytest.mark.parametrize(
    "env",
    [CartPole(), Pendulum(), Walk(), FiniteHorizon(CartPole(), 5)],
    ids=lambda env: env.name,
)
@pytest.mark.filterwarnings("ignore:.*(spec|render|infinity|not symmetric|normalized).*:UserWarning")
def test_gymnasiums_checker_passes(env):
    check_env(as_gymnasium(env))


def test_steps_are_those_of_the_environment():
    """The dynamics of CartPole have no noise, so that the state of the first observation gives the rest."""
    env, host = CartPole(), as_gymnasium(CartPole())
    obs, info = host.reset(seed=3)
    assert info == {} and obs.dtype == np.float32 and host.observation_space.contains(obs)
    state, step = CartPoleState(*jnp.asarray(obs)), jax.jit(env.step)
    for t in range(50):
        state, out = step(jax.random.key(0), state, jnp.int32(t % 2), env.default_params())
        obs, reward, terminated, truncated, _ = host.step(t % 2)
        np.testing.assert_allclose(obs, out.obs, rtol=1e-6)
        assert reward == 1.0 and isinstance(reward, float)
        assert terminated == bool(out.terminated) and not truncated
        if terminated:
            break


def test_limits_truncate_and_terminations_win():
    host = as_gymnasium(Walk(), limit=2)
    for seed in range(6):
        obs, _ = host.reset(seed=seed)
        start = int(obs["n"])
        first = host.step((1, np.zeros(1)))
        second = host.step((1, np.zeros(1)))
        assert first[2:4] == (False, False)
        assert second[2:4] == ((True, False) if start + 4 >= 6 else (False, True))
        assert second[4] == {"count": start + 4} and second[1] == start + 4


def test_episodes_differ_and_a_seed_repeats_them():
    host = as_gymnasium(CartPole())
    first = [host.reset(seed=5)[0], host.reset()[0], host.reset()[0]]
    again = [host.reset(seed=5)[0], host.reset()[0], host.reset()[0]]
    np.testing.assert_array_equal(first, again)
    assert len({tuple(x) for x in first}) == 3


@pytest.mark.parametrize("reward_dim", [None, 2])
def test_a_vector_is_its_single_environments(reward_dim):
    """Over several episodes: the step after an end gives the next start, with reward 0."""
    n, steps, rng = 3, 15, np.random.default_rng(0)
    vector = as_gymnasium_vector(Walk(reward_dim=reward_dim), n, limit=4)
    singles = [as_gymnasium(Walk(reward_dim=reward_dim), limit=4) for _ in range(n)]
    obs, _ = vector.reset(seed=7)
    alone = [env.reset(seed=7 + i)[0] for i, env in enumerate(singles)]
    ended, ends = [False] * n, 0
    for _ in range(steps):
        assert vector.observation_space.contains(obs)
        for i in range(n):
            np.testing.assert_array_equal(obs["n"][i], alone[i]["n"])
            np.testing.assert_array_equal(obs["x"][0][i], alone[i]["x"][0])
        actions = (rng.integers(0, 2, n), rng.uniform(-1, 1, (n, 1)).astype(np.float32))
        obs, reward, terminated, truncated, info = vector.step(actions)
        for i, env in enumerate(singles):
            if ended[i]:
                alone[i], expected, ended[i] = env.reset()[0], (0.0, False, False), False
                assert not info["_count"][i]
            else:
                alone[i], *expected, last = env.step((actions[0][i], actions[1][i]))
                ended[i] = expected[1] or expected[2]
                assert info["count"][i] == last["count"] and info["_count"][i]
            np.testing.assert_array_equal(reward[i], np.broadcast_to(expected[0], reward[i].shape))
            assert (terminated[i], truncated[i]) == (expected[1], expected[2])
            ends += ended[i]
    assert ends >= 6 and vector.metadata["autoreset_mode"] == gymnasium.vector.AutoresetMode.NEXT_STEP


def test_vector_rewards_have_a_space_as_in_mo_gymnasium():
    host = as_gymnasium(DeepSeaTreasure())
    host.reset(seed=0)
    reward = host.step(0)[1]
    assert host.reward_space.contains(reward) and reward.shape == (host.reward_dim,)


@pytest.mark.parametrize(
    "space",
    [
        Discrete(4),
        Box((-1.0, -np.inf), (1.0, np.inf), (2,)),
        Box(0, 255, (2, 2), np.uint8),
        {"a": Discrete(2), "b": (Box(0.0, 1.0, ()), Discrete(3))},
    ],
    ids=str,
)
def test_spaces_there_and_back(space):
    there = as_gymnasium_space(space)
    assert as_gymnasium_space(convert_space(there)) == there


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: as_gymnasium(CartPole(), limit=0), "limit: must be >= 1 or None, got 0"),
        (lambda: as_gymnasium_vector(CartPole(), 0), "n: must be >= 1, got 0"),
        (lambda: as_gymnasium(Walk(), render_mode="rgb_array"), "render_mode: Walk draws no pictures"),
        (lambda: as_gymnasium(Walk(), render_mode="human"), "render_mode: must be None or 'rgb_array'"),
    ],
)
def test_refusals_name_the_argument(call, message):
    with pytest.raises(UsageError, match=message):
        call()


@pytest.mark.parametrize("host", [as_gymnasium(CartPole()), as_gymnasium_vector(CartPole(), 2)])
def test_a_step_before_the_first_reset_is_refused(host):
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset before step"):
        host.step(host.action_space.sample())


@pytest.mark.parametrize("action", [2, -1, 0.5, np.nan, "left", None, [1], np.zeros(2, int)])
def test_an_action_outside_of_a_discrete_space_is_refused(cartpole, action):
    with pytest.raises(UsageError, match=r"^action: must be an action of Discrete"):
        cartpole.step(action)


@pytest.mark.parametrize("action", [0, True, np.int64(1), np.array(1), 1.0])
def test_one_that_is_whole_and_inside_is_taken(cartpole, action):
    assert cartpole.step(action)[1] == 1.0


@pytest.fixture(scope="module")
def cartpole():
    host = as_gymnasium(CartPole())
    host.reset(seed=0)
    return host


def test_actions_of_a_vector_have_one_entry_per_environment():
    host = as_gymnasium_vector(CartPole(), 3)
    host.reset(seed=0)
    for actions in (0, [0, 1], np.zeros((3, 1), int), [0, 1, 2]):
        with pytest.raises(UsageError, match=r"^action: must be 3 actions of Discrete"):
            host.step(actions)
    assert host.step([0, 1, 0])[1].tolist() == [1, 1, 1]
    with pytest.raises(UsageError, match=r"^seed: must be a number or 3 numbers, got 2"):
        host.reset(seed=[1, 2])
    np.testing.assert_array_equal(host.reset(seed=np.int64(5))[0], host.reset(seed=5)[0])


def test_continuous_actions_have_the_shape_of_the_space():
    host = as_gymnasium(Pendulum())
    host.reset(seed=0)
    for action in (0.5, np.zeros(2), [np.inf], {"u": 1.0}):
        with pytest.raises(UsageError, match=r"^action: must be an action of Box"):
            host.step(action)
    assert np.isfinite(host.step([9.0])[1])  # beyond the bounds, which is the environment's to handle


@pytest.mark.peers
def test_algorithms_of_stable_baselines_train_on_our_cartpole():
    """A random policy has return 22; their PPO exceeds 100 within 15,000 steps."""
    sb3 = pytest.importorskip(
        "stable_baselines3", reason="pip install stable-baselines3", exc_type=ImportError
    )
    from stable_baselines3.common.env_checker import check_env as their_check
    from stable_baselines3.common.evaluation import evaluate_policy

    host = as_gymnasium(CartPole())
    their_check(host)
    model = sb3.PPO("MlpPolicy", host, n_steps=512, batch_size=128, gamma=0.98, learning_rate=1e-3, seed=0)
    model.learn(15_000)
    mean, _ = evaluate_policy(model, as_gymnasium(CartPole()), n_eval_episodes=10, warn=False)
    assert mean > 100
