"""Members on devices: what is compiled once, padding, and meshes of the caller."""

import contextlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.run.folder import RunFolder
from jaxrl.run.population import Population
from jaxrl.run.sweep import member_keys, sweep
from jaxrl.run.train import train
from tests.run import sharing, toy


@contextlib.contextmanager
def compilations():
    """A list that grows by one at every program that is compiled inside."""
    found = []

    def listen(event, seconds, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            found.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def test_padding_is_added_and_dropped_by_programs_that_are_compiled_once():
    population = Population.create(3, 1, jax.devices()[:2])
    tree = {"x": jnp.arange(6.0).reshape(3, 2), "key": member_keys(0, 3)}
    padded = population.pad(tree)
    assert padded["x"].tolist() == [[0, 1], [2, 3], [4, 5], [0, 1]]
    assert padded["x"].sharding.is_equivalent_to(population.spread, 2)
    assert population.drop(padded)["x"].tolist() == tree["x"].tolist()
    with compilations() as found:
        for _ in range(3):
            again = Population.create(3, 1, jax.devices()[:2])
            again.drop(again.pad(tree))
    assert found == []


def test_more_checkpoints_of_a_padded_population_compile_no_more(tmp_path):
    counts = []
    for every in (10, 5, 1):
        folder = RunFolder.create("toys/q", toy.Config(), tmp_path, "smoke")
        with compilations() as found:
            train(
                toy.make(toy.Config()),
                member_keys(0, 3),
                toy.hypers(3),
                toy.data(),
                updates=10,
                folder=folder,
                checkpoint_every=every,
                devices=jax.devices()[:2],
                progress=False,
            )
        counts.append(len(found))
    assert counts[2] <= counts[1] <= counts[0]


def test_states_of_all_members_are_taken_by_one_program():
    members = sweep(
        toy.make,
        [(toy.Config(), toy.Hyper(lr=r)) for r in (0.1, 0.2)],
        seeds=2,
        data=toy.data(),
        updates=2,
        progress=False,
    )
    first = members[0].state
    with compilations() as found:
        states = [m.state for m in members]
    assert found == []
    for position, state in enumerate(states):
        np.testing.assert_array_equal(state.params["q"], members[0].bucket.state.params["q"][position])
    assert first.updates.shape == ()


@pytest.mark.parametrize("axes", ["Explicit", "Auto"])
@pytest.mark.parametrize("name", ["pop", "data"])
def test_a_mesh_of_the_caller_changes_nothing(axes, name):
    kinds = (getattr(jax.sharding.AxisType, axes),)
    options = {"seeds": 3, "data": toy.data(), "updates": 3, "progress": False}
    members = [(toy.Config(width=4), toy.Hyper())]
    alone = sweep(toy.make, members, evaluate=lambda static: toy.evaluate, **options)
    with jax.set_mesh(jax.make_mesh((4,), (name,), axis_types=kinds)):
        inside = sweep(toy.make, members, evaluate=lambda static: toy.evaluate, **options)
    for a, b in zip(alone, inside, strict=True):
        np.testing.assert_array_equal(a.history["eval/value"], b.history["eval/value"])
        for x, y in zip(jax.tree.leaves(a.state.params), jax.tree.leaves(b.state.params), strict=True):
            np.testing.assert_array_equal(x, y)


def test_a_mesh_has_as_many_devices_as_its_lanes_and_its_work_need():
    def shape(size, devices, work):
        return dict(Population.create(size, 1, jax.devices()[:devices], work).mesh.shape)

    assert shape(1, 4, None) == {"pop": 2}
    assert shape(1, 4, 1) == {"pop": 2, "work": 1}  # two devices at least
    assert shape(1, 4, 2) == {"pop": 1, "work": 2}
    assert shape(3, 4, 2) == {"pop": 2, "work": 2}
    assert shape(3, 4, 3) == {"pop": 1, "work": 3}
    assert Population.create(3, 1, jax.devices(), 2).padded == 4


def assert_same_bits(a, b):
    assert np.asarray(a.state.params).tobytes() == np.asarray(b.state.params).tobytes()
    for name, x in a.history.items():
        assert x.tobytes() == b.history[name].tobytes(), name


def test_a_shared_member_resumes_on_a_mesh_of_another_shape(tmp_path, capsys):
    folder = RunFolder.create("toys/shared", toy.Config(), tmp_path, "smoke")
    options = {"checkpoint_every": 2, "log_every": 1, "updates": 4}
    whole = sharing.run("evolution", (2, 1), folder=folder, **options)
    assert folder.meta["work"] == {"train": 1} and len(folder.meta["devices"]) == 2
    assert np.abs(whole.state.params).min() > 0.01  # it moves
    shutil.rmtree(folder.checkpoints / "train" / "4")
    folder.work = 2  # what the command line asks for
    again = sharing.run("evolution", (2, 1), folder=folder, **options)
    assert "continuing after update 2 of 4" in capsys.readouterr().err
    assert folder.meta["work"] == {"train": 2} and len(folder.meta["devices"]) == 2
    assert_same_bits(whole, again)
    folder.work = None  # what the stage was last run with stays
    sharing.run("evolution", (2, 1), folder=folder, **options)
    assert folder.meta["work"] == {"train": 2}


def test_a_state_that_differs_between_devices_is_refused():
    with pytest.raises(UsageError, match="work: the state of the algorithm differs between devices"):
        sharing.run("apart", (1, 2), members=1)


@pytest.mark.parametrize(
    ("axis", "work", "words"),
    [
        (spmd.WORK, None, r"work: the algorithm shares the work of a member; give train\(..., work=1\)"),
        (None, 2, "work: the algorithm is not made for shared work; make it with axis=jaxrl.core.spmd.WORK"),
    ],
)
def test_the_algorithm_and_the_run_share_work_or_neither_does(axis, work, words):
    algorithm, hypers = sharing.make("evolution", axis), sharing.Hyper(lr=jnp.full(1, 0.1))
    with pytest.raises(UsageError, match=words):
        train(algorithm, member_keys(0, 1), hypers, (), updates=1, work=work)


def test_devices_that_share_a_member_average_its_gradients():
    """Plain gradient steps, each a sum of 8 rows in another order: a few roundings of numbers of order 1."""
    alone, shared = (sharing.run("descent", shape) for shape in (None, (2, 2)))
    np.testing.assert_allclose(shared.state.params, alone.state.params, rtol=0, atol=1e-6)
    assert np.abs(alone.state.params).min() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("lane", [1, 2])
def test_the_shape_of_the_mesh_changes_no_bit_of_what_gathers(lane):
    runs = [sharing.run("evolution", shape, lane=lane) for shape in ((2, 1), (1, 2), (2, 2), (1, 4), None)]
    for other in runs[1:]:
        assert_same_bits(runs[0], other)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(2, 1), (1, 2), (1, 4)])
def test_averages_agree_on_every_shape_of_the_mesh(shape):
    alone, shared = sharing.run("descent", None), sharing.run("descent", shape)
    np.testing.assert_allclose(shared.state.params, alone.state.params, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "asked", "words"),
    [
        ((2, 0), None, "work: must be an integer >= 1 or None, got 0"),
        ((2, 1), 3, "work: 3 devices are to share each member, and there are 2"),
        (None, 2, "work: the algorithm of this experiment does not share the work of a member"),
    ],
)
def test_work_that_cannot_be_shared_is_refused(tmp_path, shape, asked, words):
    folder = RunFolder.create("toys/shared", toy.Config(), tmp_path, "smoke")
    folder.work = asked
    with pytest.raises(UsageError, match=words):
        sharing.run("descent", shape, folder=folder)
