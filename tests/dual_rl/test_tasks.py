"""Tasks of dual RL's experiments: hyper-parameters, missing data, evaluation on the host."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.data import recipes
from experiments.dual_rl import car, lambda_sweep, offline_rl, scripted, tasks, truth, weights
from jaxrl.baselines import bc
from jaxrl.cli import api
from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.core.spaces import Box
from jaxrl.core.types import Policy
from jaxrl.data.dataset import dataset_hash, from_arrays
from jaxrl.data.episodes import episode_returns
from jaxrl.dual_rl import forms
from jaxrl.envs.control.mountain_car import MountainCar, MountainCarState
from jaxrl.envs.control.pendulum import Pendulum


def episodes(returns):
    """One row per episode, with the given rewards; the action is always 0.25."""
    n = len(returns)
    obs = np.linspace(-1, 1, n, dtype=np.float32)[:, None]
    ends = {"terminated": np.ones(n, bool), "truncated": np.zeros(n, bool)}
    action = np.full((n, 1), 0.25, np.float32)
    return from_arrays({"obs": obs, "next_obs": obs, "action": action, "reward": np.float32(returns), **ends})


def test_hyper_parameters_of_a_task():
    assert set(tasks.TASKS) <= set(recipes.names())
    hopper = tasks.task("hopper-medium-replay")
    numbers = hopper.hyper_of("XQL", 900)
    assert (numbers["parameter"], numbers["gamma"], numbers["decay_updates"]) == (2.0, 0.99, 900.0)
    assert hopper.hyper_of("IQL", 900)["parameter"] == 0.7
    numbers = tasks.task("pendulum-medium").hyper_of("XQL", 900)
    assert numbers["parameter"] == 1.0 and "decay_updates" not in numbers
    for task in tasks.TASKS.values():  # none that a form does not read or refuses
        for name in tasks.PARAMETERS:
            forms.hyper(forms.config(name), **task.hyper_of(name, 900))
    with pytest.raises(UsageError, match=r"^task: unknown 'pendulum'; known: pendulum-random, "):
        tasks.task("pendulum")


@pytest.mark.parametrize(
    ("module", "values", "message"),
    [
        (offline_rl, {"tasks": ("pendulum",)}, r"^task: unknown 'pendulum'"),
        (offline_rl, {"methods": ("TD3",)}, r"^Config.methods\[0\]: must be one of 'f-DVL chi2', "),
        (offline_rl, {"episodes": 0}, r"episodes: must be >= 1 or None, got 0$"),
        (lambda_sweep, {"task": "hopper-medium"}, r"^name: hopper-medium is from Hopper-v5 of gymnasium"),
        (lambda_sweep, {"parameters": ((0.5,),)}, r"^parameters: give every method of algo.methods"),
    ],
)
def test_refused_configurations(module, values, message):
    with pytest.raises(UsageError, match=message):
        module.Config(**values)


def test_rows_of_one_weighting_are_one_program_and_clones_are_paired():
    """Nine pairs of members whose returns differ by a known amount."""
    rows = ("f-DVL chi2", "IQL", "IQL share", "SQL share", "ODICE share", "BC paired", "BC")
    config, task = offline_rl.Config(methods=rows), tasks.task("pendulum-medium")
    made = {row: offline_rl._member(config, row, task) for row in rows[:-1]}
    assert made["f-DVL chi2"][0] == made["IQL"][0] != made["IQL share"][0]
    assert made["IQL share"][0] == made["SQL share"][0] == made["BC paired"][0]
    assert made["ODICE share"][0].weighting == "share" and made["IQL"][0].weighting == "published"
    assert (made["BC paired"][1].share, made["IQL share"][1].share) == (1.0, 0.9)
    clone = np.random.default_rng(0).normal(size=9)
    result = {
        "task": np.array(["car"]),
        "method": np.array(["IQL share", "BC paired", "BC"]),
        "eval_return": np.stack([clone + 0.5, clone, clone])[None],
        "reference": np.array([[0.0, 10.0]]),
    }
    found = offline_rl.scores(result)
    np.testing.assert_allclose(found["IQL share - BC paired, car"].values, 5)
    np.testing.assert_allclose(found["IQL share - BC paired (lower end), car"].values, 5)
    assert set(found) - {"IQL share, car", "BC paired, car", "BC, car"} == {
        "IQL share - BC paired, car",
        "IQL share - BC paired (lower end), car",
    }


def test_simulated_advantages_are_those_of_a_loop():
    """Three states of the pendulum by their observations, a policy without torque, five steps."""
    env, gamma = Pendulum(), 0.9
    params = env.default_params()
    starts = [env.reset(jax.random.key(i), params) for i in range(3)]
    obs, actions = np.stack([o for _, o in starts]), np.array([[1.5], [-2.0], [0.0]], np.float32)
    states = truth.states_at(env, obs)
    np.testing.assert_allclose(states.theta, [float(s.theta) for s, _ in starts], atol=1e-5)
    still = Policy(lambda key, obs, memory: (jnp.zeros(1), (), memory))
    found = jax.jit(lambda states, obs, a: truth.simulated_advantage(env, still, states, obs, a, gamma, 5))(
        states, obs, actions
    )

    def returned(state, action):
        total = 0.0
        for t in range(5):
            state, step = env.step(jax.random.key(0), state, jnp.asarray(action), params)
            total, action = total + gamma**t * float(step.reward), np.zeros(1, np.float32)
        return total

    expected = [returned(s, a) - returned(s, 0 * a) for (s, _), a in zip(starts, actions, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert abs(expected[0]) > 1e-2 and expected[2] == 0
    assert truth.states_at(recipes.environment("maze2d-umaze"), obs) is None


def test_optimal_advantages_of_the_car_are_those_of_its_environment():
    """Near the goal, where full throttle is best: 15 steps, and 17 and 16 with one step of another action."""
    env, gamma = MountainCar(), 0.98
    params = env.default_params()
    one = jax.jit(lambda state, action: env.step(jax.random.key(0), state, action, params))

    def advantages(obs):
        rows = {"obs": np.repeat(obs[None], 3, 0), "action": np.arange(3), "reward": -np.ones(3, np.float32)}
        ends = {"terminated": np.zeros(3, bool), "truncated": np.ones(3, bool)}
        return car.optimal_advantages(from_arrays(rows | {"next_obs": rows["obs"]} | ends), gamma, 151, 60)

    state = MountainCarState(jnp.float32(0.25), jnp.float32(0.02))
    found, steps = advantages(np.array([0.25, 0.02], np.float32)), []
    for action in range(3):
        s, count = state, 0
        while True:
            s, step = one(s, jnp.int32(action if count == 0 else 2))
            count += 1
            if bool(step.terminated):
                break
        steps.append(count)
    assert steps == [17, 16, 15]
    returns = -(1 - gamma ** np.array(steps)) / (1 - gamma)
    # between grid points values lie between those of whole steps: half a step is gamma^15 / 2
    np.testing.assert_allclose(found, returns - returns.max(), atol=0.37)
    with pytest.raises(UsageError, match=r"Config\.optimal: the optimal advantages of pendulum"):
        weights.Config(tasks=("pendulum-medium",), optimal=True)


def test_missing_snapshots_stop_a_run_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setenv("JAXRL_DATA", str(tmp_path))
    monkeypatch.setenv("JAXRL_SUITES", str(tmp_path / "suites"))
    names = ("maze2d-umaze", "hopper-medium-replay")
    monkeypatch.setitem(recipes.RECIPES, "maze2d-umaze", recipes.FromPlanner("umaze", lanes=1, length=50))
    monkeypatch.setattr(tasks, "sweep", None)
    with pytest.raises(UsageError, match=r"set JAXRL_DATA to a folder with the policies of openai/imitation"):
        api.run("dual_rl/offline_rl", "smoke", out=tmp_path, tasks=names, episodes=None)


@pytest.mark.slow
def test_a_run_on_mujoco(data_folder, tmp_path, monkeypatch):
    """Three episodes of each quality, a few updates: it falls over, and scores are D4RL's."""
    monkeypatch.setenv("JAXRL_DATA", str(data_folder))
    options = {"tasks": ("hopper-medium-replay",), "methods": ("IQL", "BC"), "episodes": 3}
    try:
        folder = api.run("dual_rl/offline_rl", "smoke", out=tmp_path, **options)
    except MissingExtra as error:
        pytest.skip(f"Hopper: {error}")
    result = folder.load_result()
    np.testing.assert_allclose(result["reference"], [[-20.272305, 3234.3]])
    assert set(folder.meta["datasets"]) == {"hopper-medium-replay"}
    assert result["eval_return"].shape == (1, 2, 2)
    assert np.all((result["eval_return"] > 0) & (result["eval_return"] < 400))
    scores = offline_rl.scores(result)["IQL, hopper-medium-replay"]
    np.testing.assert_allclose(scores, 100 * (result["eval_return"][0, 0] + 20.272305) / 3254.572305)


class Still:
    """Six steps at 0, of which each pays minus the squared distance of the action from 0.25."""

    class spec:
        max_episode_steps = 6

    def reset(self, seed=None):
        self.t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.t += 1
        return np.zeros(1, np.float32), -float((action[0] - 0.25) ** 2), False, self.t == 6, {}

    def close(self):
        pass


def test_last_policies_act_on_the_host():
    """Linear clones of a constant: learned, not learned (action 0 at 0), diverged."""
    space = Box(-1.0, 1.0, (1,))
    world = tasks.World(None, Still, (space, space))
    config = bc.Config(batch_size=8, widths=())
    members = [(config, bc.Hyper(lr=rate)) for rate in (0.05, 0.0, 1e38)]
    found = tasks.trained(
        world,
        lambda static: bc.make(static, *world.spaces),
        members,
        episodes=3,
        seed=0,
        seeds=2,
        data=episodes(range(10)),
        updates=150,
        progress=False,
    )
    learned, untrained, diverged = np.reshape([value for _, value in found], (3, 2))
    assert np.all((learned > -6 * 0.02**2) & (learned <= 0))
    np.testing.assert_allclose(untrained, -6 * 0.25**2, rtol=1e-6)
    assert np.isnan(diverged).all()


def test_scripted_expert():
    """Twelve episodes: about -170, uniform actions about -1240; equal seeds make equal data."""
    expert, again = scripted.record(0, 0.0, 12), scripted.record(0, 0.0, 12)
    assert dataset_hash(expert) == dataset_hash(again) != dataset_hash(scripted.record(1, 0.0, 12))
    random, best = scripted.references(0, 12)
    assert best == pytest.approx(episode_returns(expert).mean())
    assert random < -1000 < -350 < best
