"""Members on devices: what is compiled once, padding, and meshes of the caller."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.run.folder import RunFolder
from jaxrl.run.population import Population
from jaxrl.run.sweep import member_keys, sweep
from jaxrl.run.train import train
from tests.run import toy


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
