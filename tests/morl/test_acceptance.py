"""Both stages through the driver: equal bytes after interruptions; what published results keep."""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import table
from benchmarks.morl import learners as learner_benchmark
from experiments.morl import brax, building, comparison
from experiments.morl.episodic import SCALED
from jaxrl.baselines import ppo
from jaxrl.core.prng import stream
from jaxrl.core.tree import tree_take
from jaxrl.morl import archive as archives
from jaxrl.morl import cmorl, scalarised
from jaxrl.morl.tasks import task
from jaxrl.rollout.evaluate import evaluate
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP, extension_hyper, scalarised_hyper
from tests.run.interrupted import bits, killed_inside_a_save
from theory.morl.building_bound import bound

RESULTS = Path(__file__).parents[2] / "experiments" / "morl" / "results"
FIRST = scalarised.make(scalarised.Config(LEARNER, 16, EXACT), ENV)
SECOND = cmorl.make(cmorl.Config(LEARNER, EXACT, selected=2, updates=2, rounds=2), ENV)
SEEDS = 3


@dataclasses.dataclass(frozen=True)
class Record:
    """What the run folder holds."""

    seeds: int = SEEDS


def first_stage(devices, folder=None):
    """Archives `[S, ...]` after four updates of the learners of three preferences."""
    return train(
        FIRST,
        member_keys(0, SEEDS),
        stack_hypers([scalarised_hyper()], SEEDS),
        MDP,
        updates=4,
        stage="initialise",
        **options(devices, folder, 2),
    ).state


def both_stages(devices, folder=None):
    """States of both stages after two rounds of the second."""
    first = first_stage(devices, folder)
    every = jax.tree.map(lambda x: jnp.broadcast_to(x, (SEEDS, *jnp.shape(x))), MDP)
    second = train(
        SECOND,
        jax.vmap(stream, (0, None))(member_keys(0, SEEDS), 2),
        stack_hypers([extension_hyper()], SEEDS),
        cmorl.Data(every, first.archive),
        shared_data=False,
        updates=2,
        stage="extend",
        **options(devices, folder, 1),
    ).state
    return first, second


def options(devices, folder, every):
    """Of `train`, with a checkpoint at every `every` updates where there is a folder."""
    return {
        "devices": jax.devices()[:devices],
        "folder": folder,
        "checkpoint_every": None if folder is None else every,
        "log_every": 1,
        "progress": False,
    }


def stored(path, state):
    """Bytes of the files that the archives of all seeds are saved in."""
    found = []
    for seed in range(SEEDS):
        archives.save(path / f"{seed}.npz", tree_take(state.archive, seed), {"seed": seed})
        found.append((path / f"{seed}.npz").read_bytes())
    return found


@pytest.mark.slow  # compiles both stages for two, three and four devices
def test_runs_interrupted_between_and_inside_the_stages_end_in_equal_bytes(tmp_path):
    """Three seeds on four devices; resumed on three and two, the last two interruptions inside a save."""
    expected = both_stages(4)
    archived = stored(tmp_path, expected[1])
    assert int(expected[1].archive.valid.sum()) > SEEDS
    folder = RunFolder.create("morl/toy", Record(), tmp_path, "smoke")
    first_stage(2, folder)
    for stage, done, devices in ((None, 0, 4), ("initialise", 2, 3), ("extend", 1, 2)):
        if stage is not None:
            killed_inside_a_save(folder, done, stage)
        if stage == "initialise":
            killed_inside_a_save(folder, 0, "extend")
        found = both_stages(devices, folder)
        assert bits(found) == bits(expected), (stage, devices)
        assert stored(tmp_path, found[1]) == archived


def volumes(name, module):
    """`(by the episodes that chose the members, by fresh ones, certified)` of a published run, by label."""
    with np.load(RESULTS / f"{name}.npz") as file:
        found = module.scores({key: file[key] for key in file.files})
    labels = [x.removesuffix(", certified") for x in found if x.endswith(", certified")]
    chosen = (", hypervolume", ", fresh episodes") if module is comparison else (", selection episodes", "")
    kinds = (*chosen, ", certified")
    return {x: [np.asarray(found[x + kind], float) for kind in kinds] for x in labels}


@pytest.mark.parametrize(
    ("name", "module"), [("comparison-quick", comparison), ("brax-quick", brax), ("building-quick", building)]
)
def test_volumes_by_fresh_episodes_are_at_most_those_by_selection_and_their_noise(name, module):
    """The noise is the half width of the fresh one's interval; over all runs the fresh one is smaller."""
    found = volumes(name, module)
    assert found
    for selection, fresh, certified in found.values():
        assert (certified <= fresh).all()
        assert (fresh <= selection + (fresh - certified)).all()
    ratios = [np.mean(fresh / selection) for selection, fresh, _ in found.values()]
    assert np.mean(ratios) < 1


def test_published_costs_of_learners_and_runs_are_within_what_the_design_allows():
    results = json.loads((table.FOLDER / "results.json").read_text())
    rows = [e for e in results["entries"] if e["group"] == learner_benchmark.GROUP]
    bounded = {e["name"]: e for e in rows if e["ceiling"] is not None}
    assert len(bounded) == 5, sorted(bounded)
    assert all(e["value"] <= e["ceiling"] for e in bounded.values())


def published(name):
    """`(volume [1 + V, S], feasible [V, S], gain [V, S])` by stage of a published run on one finite task."""
    with np.load(RESULTS / f"discrete_suite-{name}.npz") as file:
        names = ["start", *file["variant_0"].tolist()]
        volume = dict(zip(names, file["volume_0"], strict=True))
        feasible, gain = (
            dict(zip(names[1:], file[f"{x}_0"].mean(-1), strict=True)) for x in ("feasible", "gain")
        )
    return volume, feasible, gain


def test_barriers_on_the_concave_sea_end_near_the_hull_feasible_and_above_no_constraint_on_every_seed():
    volume, feasible, gain = published("concave")
    for stage in ("barrier, t = 20", "barrier, t = 100"):
        assert np.median(volume[stage]) >= 4150 and (volume[stage] <= 4231.04 + 1e-2).all()
        assert (volume[stage] >= volume["start"] + 400).all() and (volume[stage] > volume["none"]).all()
        assert feasible[stage].min() >= 0.95 and (gain[stage] > 0).all()
    assert gain["barrier, t = 100"].mean() > gain["barrier, t = 20"].mean()
    assert feasible["none"].max() < 0.8


def test_every_seed_on_the_convex_sea_ends_above_what_deterministic_policies_dominate():
    volume, _, _ = published("convex")
    ends = np.stack([x for name, x in volume.items() if name != "start"])
    assert ends.min() >= 862 and ends.max() <= 874.72 + 1e-2


def test_every_seed_on_the_tree_of_depth_five_finds_its_corners_and_then_nearly_all_leaves():
    volume, _, _ = published("tree")
    ends = volume["barrier, t = 100"]
    assert volume["start"].min() >= 5039.37
    assert ends.min() >= 33_000 and np.median(ends) >= 35_000 and ends.max() <= 36815.96


@pytest.mark.slow  # a million transitions
def test_ppo_on_the_building_gains_half_of_what_the_bound_leaves_above_no_power():
    """One seed, preference (.8, .2, 0), by a greedy episode from the first hour without noise."""
    env, w, updates = task("building-3").make(), jnp.array([0.8, 0.2, 0.0]), 244
    data = env.default_params()
    data = data._replace(limit=jnp.full_like(data.limit, 480))
    config = ppo.Config(n_envs=16, length=256, epochs=10, minibatches=32, **SCALED)
    hyper = ppo.Hyper(
        lr=3e-4, gamma=0.995, lambda_=0.95, entropy=0.0, anneal=1.0, updates_total=float(updates), w=w
    )
    algorithm = ppo.make(config, env)

    @jax.jit
    def train_all(state):
        return jax.lax.scan(lambda s, _: (algorithm.step(s, hyper, data)[0], None), state, length=updates)[0]

    state = train_all(algorithm.init(jax.random.key(0), hyper, data))
    first = jnp.asarray(1, jnp.int32)
    still = data._replace(offset_low=first, offset_high=first, noise=jnp.zeros_like(data.noise))
    found = evaluate(
        env, algorithm.act(state, hyper, True), jax.random.key(1), still, episodes=1, limit=480, gamma=1.0
    )
    value, best = float(found.returns[0] @ w), bound(np.asarray(w, float), 480).value
    np.testing.assert_allclose(best, 10266.765, rtol=1e-6)
    print(f"building: {value:.1f} of {best:.1f}")
    nothing = 8522.67
    assert (nothing + best) / 2 < value < best
