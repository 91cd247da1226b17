"""Suites: deterministic, cached, verified, and made of the policies that they say."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from experiments.data import recipes
from experiments.data.recipes import FromGoalGrid, FromPlanner, FromSac, FromSnapshots, suite
from jaxrl.baselines import ppo, sac
from jaxrl.core.errors import CorruptInput, NumericalFailure, UsageError
from jaxrl.core.spaces import contains
from jaxrl.data.dataset import dataset_hash
from jaxrl.data.episodes import episode_returns
from jaxrl.data.scores import reference_of
from jaxrl.data.validate import HINTS, validate
from jaxrl.envs.control.cartpole import CartPole

GOALS = FromGoalGrid(episodes=50, reference_episodes=20)
WANDER = FromPlanner("umaze", lanes=4, length=300)


def replayed(name, data):
    """Largest difference between recorded and recomputed rows; the observation has to be the state."""
    env = recipes.environment(name)
    params = env.default_params()
    make = {"MountainCar": lambda o: type(env.reset(jax.random.key(0), params)[0])(o[0], o[1])}.get(
        env.name, lambda o: o
    )
    if env.name == "Maze2D":
        make = lambda o: type(env.reset(jax.random.key(0), params)[0])(o[:2], o[2:])  # noqa: E731
    step = jax.jit(jax.vmap(lambda o, a: env.step(jax.random.key(0), make(o), a, params)[1]))
    out = step(data.obs, data.action)
    assert bool(jax.vmap(lambda a: contains(env.action_space, a))(data.action).all())
    np.testing.assert_array_equal(out.terminated, data.terminated)
    return max(np.abs(out.obs - data.next_obs).max(), np.abs(out.reward - data.reward).max())


def test_equal_seeds_make_equal_files(tmp_path):
    make = lambda seed, where: suite("goalgrid-random", seed, recipe=GOALS, folder=tmp_path / where)  # noqa: E731
    one, again, elsewhere, other = make(0, "a"), make(0, "a"), make(0, "b"), make(1, "a")
    assert dataset_hash(one) == dataset_hash(again) == dataset_hash(elsewhere) != dataset_hash(other)
    meta = dict(one.meta)
    assert (meta["name"], meta["seed"], meta["env"]) == ("goalgrid-random", 0, "GoalGrid")
    assert one.size == 250 and validate(one).clean and replayed("goalgrid-random", one) < 1e-6
    # both suites of the group were made, and a file of another size is another file
    assert len(list((tmp_path / "a").glob("*.hdf5"))) == 4
    smaller = suite(
        "goalgrid-random", 0, recipe=dataclasses.replace(GOALS, episodes=2), folder=tmp_path / "a"
    )
    assert smaller.size == 10 and len(list((tmp_path / "a").glob("*.hdf5"))) == 6
    shown = suite("goalgrid-expert", 0, recipe=GOALS, folder=tmp_path / "a")
    np.testing.assert_allclose(shown.obs[:, 0], [-1.2, -0.95, -0.7, -0.45, -0.2], atol=1e-6)
    np.testing.assert_allclose(shown.next_obs[-1], [0.05, 0.05], atol=1e-6)
    assert reference_of(shown).expert > 10 > 1 > reference_of(shown).random


def test_files_are_verified(tmp_path):
    def read():
        return suite("goalgrid-expert", 0, recipe=GOALS, folder=tmp_path)

    read()
    (path,) = tmp_path.glob("goalgrid-expert-0-*.hdf5")
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["recipe"]["episodes"] == 50 and record["versions"]["jax"] == jax.__version__
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(CorruptInput, match=r"SHA-256 is .* delete the file and fetch it again"):
        read()
    path.write_bytes(whole)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(CorruptInput, match="has no SHA-256"):
        read()
    path.unlink()  # made again
    assert read().size == 5


def test_wandering_ends_episodes_where_goals_change(tmp_path):
    data = suite("maze2d-umaze", 3, recipe=WANDER, folder=tmp_path)
    assert data.size == 1200 and not data.terminated.any()
    assert replayed("maze2d-umaze", data) < 1e-6
    report = validate(data)
    assert report.counts["boundary"] == report.counts["no_end"] == 0
    # the motion goes on over the end of an episode: nothing was reset but between balls
    ends = np.flatnonzero(data.truncated)
    joined = [i for i in ends[:-1] if np.array_equal(data.next_obs[i], data.obs[i + 1])]
    assert len(ends) - len(joined) == 4 and len(joined) > 4
    np.testing.assert_array_equal(
        data.reward, np.linalg.norm(np.asarray(data.next_obs)[:, :2] - [1.0, 1.0], axis=1) <= 0.5
    )


MUJOCO = {f"{group}-{quality}" for group in ("hopper", "hopper-noisy") for quality in recipes.QUALITIES}
SMALL = FromSnapshots("trpo_MountainCar-v0.h5", episodes=30, reference_episodes=200)


@pytest.mark.slow
def test_snapshot_suites(data_folder, monkeypatch, tmp_path):
    """Means of 30 episodes, of standard deviations 16 (medium) and 8 (expert), within four errors."""
    monkeypatch.setenv("JAXRL_DATA", str(data_folder))
    read = {q: suite(f"mountaincar-{q}", 0, recipe=SMALL, folder=tmp_path) for q in recipes.QUALITIES}
    returns = {q: episode_returns(data) for q, data in read.items()}
    assert (returns["random"] == -200).all()
    assert returns["medium"].mean() == pytest.approx(-144.3, abs=12)
    assert returns["expert"].mean() == pytest.approx(-99.3, abs=6)
    np.testing.assert_array_equal(returns["medium-expert"], [*returns["medium"], *returns["expert"]])
    assert len(returns["medium-replay"]) == 30 and (returns["medium-replay"][:10] == -200).all()
    assert returns["medium-replay"][20:].mean() == pytest.approx(-108.6, abs=15)
    for quality, data in read.items():
        assert replayed(f"mountaincar-{quality}", data) < 1e-6
        assert reference_of(data) == reference_of(read["random"])
    assert reference_of(read["random"]).random == -200
    assert reference_of(read["random"]).expert == pytest.approx(-99.4, abs=3)


@pytest.mark.slow
def test_pendulum_suites_come_from_one_agent(tmp_path):
    """Soft actor-critic, 400 updates: better than random by far, and medium before expert."""
    recipe = FromSac(episodes=10, updates=600, look_episodes=16, reference_episodes=100)
    read = {q: suite(f"pendulum-{q}", 0, recipe=recipe, folder=tmp_path) for q in recipes.QUALITIES}
    means = {q: episode_returns(data).mean() for q, data in read.items()}
    assert means["random"] < means["medium"] < means["expert"]
    replay = read["medium-replay"]
    updates = replay.size // recipe.algo.n_envs
    assert updates % recipe.every == 0 and 100 < updates <= recipe.updates
    warm = np.asarray(replay.action).reshape(8, -1)[:, :100]
    assert abs(warm.mean()) < 0.3 and warm.std() == pytest.approx(2 / np.sqrt(3), rel=0.1)  # uniform in +-2
    assert all(validate(data).counts["boundary"] == 0 for data in read.values())
    assert (episode_returns(read["expert"]) > reference_of(replay).random).all()


@pytest.mark.slow
def test_ppo_suites_come_from_one_agent(tmp_path, monkeypatch):
    """On CartPole in place of brax: medium-replay holds as many episodes of every look up to medium."""
    monkeypatch.setattr(recipes, "Brax", lambda name, backend: CartPole())
    algo = ppo.Config(n_envs=16, length=64)
    sizes = {"episodes": 6, "updates": 8, "every": 1, "look_episodes": 8, "reference_episodes": 32}
    recipe = recipes.FromPpo("hopper", "spring", algo=algo, **sizes)
    read = {q: suite(f"brax-hopper-{q}", 0, recipe=recipe, folder=tmp_path) for q in recipes.QUALITIES}
    counts = {q: len(episode_returns(data)) for q, data in read.items()}
    assert counts == {"random": 6, "medium": 6, "expert": 6, "medium-expert": 12} | {
        "medium-replay": counts["medium-replay"]
    }
    looks = [n for n in range(1, 9) if n * max(1, 6 // n) == counts["medium-replay"]]
    assert looks
    assert episode_returns(read["random"]).mean() < episode_returns(read["expert"]).mean()
    for data in read.values():
        assert not any(n for name, n in validate(data).counts.items() if name not in HINTS)


@pytest.mark.slow
def test_an_agent_that_has_not_learned_makes_no_suite(tmp_path):
    recipe = FromSac(episodes=1, updates=1, every=1, look_episodes=1, reference_episodes=1)
    with pytest.raises(NumericalFailure, match=r"^updates: the agent returns .* train longer"):
        for seed in range(8):
            suite("pendulum-expert", seed, recipe=recipe, folder=tmp_path)


def test_usage(monkeypatch, tmp_path):
    with pytest.raises(UsageError, match=r"^name: no suite 'pendulum-good'; known: pendulum-random"):
        suite("pendulum-good", folder=tmp_path)
    monkeypatch.setenv("JAXRL_DATA", str(tmp_path))
    with pytest.raises(UsageError, match=r"trpo_MountainCar-v0.h5: no such file; set JAXRL_DATA"):
        suite("mountaincar-medium", folder=tmp_path)
    assert len(set(recipes.names())) == len(recipes.names()) == 43
    with pytest.raises(UsageError, match=r"^name: hopper-medium is from Hopper-v5 of gymnasium"):
        recipes.environment("hopper-medium")
    assert recipes.host_maker("pendulum-medium") is None
    assert recipes.resized(recipes.recipe_of("maze2d-umaze"), 3) == FromPlanner("umaze", lanes=3)
    assert recipes.resized(GOALS, 3).episodes == 3
    assert {recipes.environment(n).name for n in recipes.names() if n not in MUJOCO} == {
        "Pendulum", "hopper", "MountainCar", "CartPole", "Acrobot", "GoalGrid", "Maze2D"
    }  # fmt: skip


def test_a_buffer_that_wrapped_around_is_refused():
    recipe = recipes.FromSac(algo=sac.Config(n_envs=2, capacity=8, widths=()))
    state = SimpleNamespace(updates=np.int32(5), buffer=SimpleNamespace(size=np.int32(8), data=None))
    with pytest.raises(UsageError, match=r"algo\.capacity: 8 rows hold no 10 steps"):
        recipes._buffer(recipe, state)
