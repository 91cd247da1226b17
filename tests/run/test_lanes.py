"""The width of lanes: its choice from made-up memories, and that only last bits depend on it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.run import lanes
from jaxrl.run import train as driver
from jaxrl.run.folder import RunFolder
from jaxrl.run.population import Members, Population
from jaxrl.run.sweep import member_keys
from jaxrl.run.train import train
from tests.run import toy
from tests.run.interrupted import killed_inside_a_save

GIB = 2**30


def run(members=6, width=8, updates=12, **options):
    options = {"evaluate": toy.evaluate, "eval_every": 6, "progress": False, **options}
    algorithm = toy.make(toy.Config(width=width))
    return train(
        algorithm, member_keys(3, members), toy.hypers(members), toy.data(), updates=updates, **options
    )


def members_of(count, lane, width=8):
    population = Population.create(count, lane, None)
    algorithm = toy.make(toy.Config(width=width))
    args = (member_keys(0, count), toy.hypers(count), toy.data(), True, True)
    return Members(algorithm, toy.evaluate, population, *args)


@pytest.mark.parametrize(
    ("members", "per_member", "fixed", "memory", "width"),
    [
        (64, 1.0, 0.0, 1000.0, 64),  # all of a device's share
        (
            64,
            10.0,
            100.0,
            1000.0,
            32,
        ),  # (500 - 100) / 10 = 40 fit: two lanes of 32, not one of 40 and one of 24
        (100, 10.0, 0.0, 1000.0, 50),
        (7, 100.0, 100.0, 1000.0, 4),  # 4 fit: lanes of 4 and 3
        (64, 10.0, 600.0, 1000.0, 1),  # the states alone fill the half: as narrow as possible
        (64, 0.0, 0.0, 1000.0, 64),
        (1, 1e9, 0.0, 1000.0, 1),
    ],
)
def test_the_widest_lane_that_fits(members, per_member, fixed, memory, width):
    assert lanes.widest(members, per_member, fixed, memory) == width


def test_auto_is_one_on_cpus_and_asks_for_two_programs_elsewhere():
    asked = []

    def measure(lane):
        asked.append(lane)
        return 2.0 * GIB, (1.0 + 0.5 * lane) * GIB

    assert lanes.auto(64, 2, "cpu", 80 * GIB, measure) == 1
    assert lanes.auto(64, 2, "gpu", None, measure) == 1
    assert lanes.auto(2, 2, "gpu", 80 * GIB, measure) == 1
    assert asked == []
    assert lanes.auto(64, 2, "gpu", 80 * GIB, measure) == 32  # 74 fit
    assert asked == [1, 8]
    assert lanes.auto(64, 2, "gpu", 16 * GIB, measure) == 8  # (8 - 3) / 0.5 = 10 fit: four lanes of 8
    asked.clear()
    # three members of 8 GiB and a loop that holds 30 GiB beside a single one of them: 24 of 32 GiB are enough
    assert lanes.auto(6, 2, "gpu", 64 * GIB, lambda lane: (0.0, 24.0 * GIB if lane == 3 else 30.0 * GIB)) == 3
    assert lanes.auto(6, 2, "gpu", 36 * GIB, lambda lane: (0.0, 24.0 * GIB if lane == 3 else 30.0 * GIB)) == 1
    assert lanes.auto(6, 2, "gpu", 80 * GIB, measure) == 3
    assert asked == [1, 3]


def test_a_wider_lane_of_a_real_program_needs_more_memory_and_allocates_none():
    members = members_of(64, 1, width=512)
    one, four, eight = (members.memory(lane) for lane in (1, 4, 8))
    assert one[1] < four[1] < eight[1]
    params = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(members._state.params))
    assert one[0] > params / len(jax.devices())


def test_the_memory_of_padding_is_that_of_members():
    """One member on two devices: the second holds a state, replay memory included, and needs as much."""
    one, two = members_of(1, 1, width=512), members_of(2, 1, width=512)
    assert (one.population.padded, one.population.size) == (2, 1)
    assert one.memory(1) == two.memory(1)
    shards = one.init().buffer.addressable_shards
    assert [(shard.data.shape, shard.device.id) for shard in shards] == [((1, 8), 0), ((1, 8), 1)]


@pytest.mark.parametrize("lane", [2, 4, 6])
def test_results_of_other_widths_agree_to_last_bits(lane):
    """Six members; a lane of 4 leaves two of a block unused. Float32, 12 updates of Adam."""
    one, other = run(lane=1), run(lane=lane)
    for name, x in one.history.items():
        np.testing.assert_allclose(other.history[name], x, rtol=2e-5, atol=1e-6, err_msg=name)
    for x, y in zip(jax.tree.leaves(one.state.params), jax.tree.leaves(other.state.params), strict=True):
        np.testing.assert_allclose(y, x, rtol=2e-5, atol=1e-6)
    assert other.state.updates.tolist() == [12] * 6
    assert other.history["eval/value"].shape[1] == 6


def test_padding_changes_no_bit_of_the_others():
    """Eight members fill two lanes of 4; the first six, padded, have the same bits."""
    eight = train(
        toy.make(toy.Config(width=8)),
        member_keys(3, 8),
        toy.hypers(8, [0.1] * 8),
        toy.data(),
        updates=12,
        lane=4,
        progress=False,
    )
    six = train(
        toy.make(toy.Config(width=8)),
        member_keys(3, 6),
        toy.hypers(6, [0.1] * 6),
        toy.data(),
        updates=12,
        lane=4,
        progress=False,
    )
    for x, y in zip(jax.tree.leaves(eight.state.params), jax.tree.leaves(six.state.params), strict=True):
        assert np.asarray(x)[:6].tobytes() == np.asarray(y).tobytes()
    for name, x in six.history.items():
        assert x.tobytes() == np.ascontiguousarray(eight.history[name][:, :6]).tobytes(), name


def test_a_lane_is_at_most_the_population():
    assert run(members=2, lane=64, updates=2).state.updates.shape == (2,)


def folder_of(tmp_path, lane):
    return RunFolder.create("toys/q", toy.Config(), tmp_path, "smoke", lane)


def test_an_asked_lane_is_stored_and_kept_at_resume_on_other_devices(tmp_path):
    folder = folder_of(tmp_path, 4)
    options = {"folder": folder, "checkpoint_every": 6, "log_every": 3}
    whole = run(devices=jax.devices()[:2], **options)
    assert folder.meta["lane"] == {"train": 4} and folder.lane == 4
    for devices in (1, 3):
        killed_inside_a_save(folder, 6)
        options["folder"] = RunFolder.open(folder.path)
        again = run(devices=jax.devices()[:devices], **options)
        if devices > 1:
            for x, y in zip(
                jax.tree.leaves(whole.state.params), jax.tree.leaves(again.state.params), strict=True
            ):
                assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
    with pytest.raises(UsageError, match="lane: 4 -> 2"):
        run(lane=2, **options)


def test_what_auto_chose_is_kept_where_it_would_choose_otherwise(tmp_path, monkeypatch):
    folder = folder_of(tmp_path, "auto")
    options = {"folder": folder, "checkpoint_every": 6, "log_every": 3}
    monkeypatch.setattr(driver, "_choose_lane", lambda members: 3)
    whole = run(**options)
    assert folder.meta["lane"] == {"train": 3} and folder.lane == "auto"
    killed_inside_a_save(folder, 6)
    monkeypatch.setattr(driver, "_choose_lane", lambda members: 2)
    again = run(**options)
    for x, y in zip(jax.tree.leaves(whole.state.params), jax.tree.leaves(again.state.params), strict=True):
        assert jnp.array_equal(x, y)
    meta = json.loads((folder.path / "meta.json").read_text())
    (folder.path / "meta.json").write_text(json.dumps(meta | {"lane": {"train": "wide"}}))
    with pytest.raises(CorruptInput, match="lane: must be an integer >= 1 for every stage, got 'wide'"):
        run(**options)


def test_auto_on_an_accelerator_compiles_two_more_programs(monkeypatch):
    """A CPU that says that it is an accelerator with little memory."""
    asked = []
    original = Members.memory
    monkeypatch.setattr(Members, "memory", lambda self, lane: asked.append(lane) or original(self, lane))
    monkeypatch.setattr(lanes, "device_memory", lambda device: 1e9)
    auto = lanes.auto
    monkeypatch.setattr(
        lanes, "auto", lambda size, devices, platform, *rest: auto(size, devices, "gpu", *rest)
    )
    members = members_of(16, 1)
    assert driver._choose_lane(members) == 4  # sixteen members on four devices, all of a device's share
    assert asked == [1, 4]
