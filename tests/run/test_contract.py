"""An algorithm that loses count or changes its key is refused by name after its first updates."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.run.contract import Marks, check_state, check_updates, name_of
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, sweep
from jaxrl.run.train import train
from tests.run import toy

COUNT = r"^tests\.run\.toy: `step` raised state\.updates by {} in {} update.*updates=state\.updates \+ 1$"
KEY = (
    r"^tests\.run\.toy: `step` changed state\.key; return it as it is.*stream\(state\.key, state\.updates\)$"
)


def changed(change, config=toy.Config()):
    """The toy algorithm, with `change` applied to the state that its `step` returns."""
    algorithm = toy.make(config)

    def step(state, hyper, data):
        after, metrics = algorithm.step(state, hyper, data)
        return change(state, after), metrics

    return algorithm._replace(step=step)


def forgets(config=toy.Config()):
    return changed(lambda before, after: after.replace(updates=before.updates), config)


def splits(config=toy.Config()):
    return changed(lambda before, after: after.replace(key=jax.random.split(before.key)[0]), config)


def run(algorithm, **options):
    return train(
        algorithm,
        member_keys(0, 3),
        toy.hypers(3),
        toy.data(),
        **{"updates": 6, "progress": False, **options},
    )


@pytest.mark.parametrize(
    ("algorithm", "chunk", "message"),
    [
        (forgets(), None, COUNT.format(0, 1)),
        (forgets(), 3, COUNT.format(0, 3)),
        (changed(lambda _, after: after.replace(updates=after.updates + 1)), 3, COUNT.format(6, 3)),
        (splits(), None, KEY),
        (splits(), 6, KEY),
    ],
)
def test_train_refuses(algorithm, chunk, message):
    with pytest.raises(UsageError, match=message):
        run(algorithm, chunk=chunk, log_every=6)


@pytest.mark.parametrize("make", [forgets, splits])
def test_sweep_refuses(make):
    members = [(toy.Config(), toy.Hyper(lr=lr)) for lr in (0.1, 0.2)]
    with pytest.raises(UsageError, match=r"^tests\.run\.toy: `step` "):
        sweep(make, members, seeds=2, data=toy.data(), updates=3, progress=False)


def test_nothing_is_saved_of_such_a_run(tmp_path):
    folder = RunFolder.create("toys/q", toy.Config(), tmp_path, "smoke")
    with pytest.raises(UsageError, match=r"state\.updates"):
        run(forgets(), folder=folder, checkpoint_every=1)
    assert not list(folder.checkpoints.rglob("MANIFEST.json"))


@pytest.mark.parametrize("lane", [1, 3])
def test_members_that_diverge_at_once_are_not_accused(lane):
    """A frozen member has done fewer updates than the others."""
    trained = train(
        toy.make(toy.Config(poison=(0, 1))),
        member_keys(0, 3),
        toy.hypers(3),
        toy.data(3),
        updates=4,
        chunk=4,
        log_every=4,
        lane=lane,
        shared_data=False,
        progress=False,
    )
    assert trained.state.updates.tolist() == [4, 1, 4]


def test_an_algorithm_without_origin_is_named_by_its_step():
    algorithm = toy.make(toy.Config())._replace(origin=None)
    assert name_of(algorithm) == "tests.run.toy.make.<locals>.step"
    assert name_of(toy.make(toy.Config())) == "tests.run.toy"


def test_check_updates_by_hand():
    before = Marks(np.zeros((2, 2), np.uint32), np.array([3, 3]))
    algorithm, all_kept = toy.make(toy.Config()), np.array([True, True])
    check_updates(algorithm, before, before._replace(updates=np.array([5, 5])), 2, all_kept)
    late = before._replace(updates=np.array([5, 4]))
    check_updates(algorithm, before, late, 2, np.array([True, False]))
    with pytest.raises(UsageError, match="by 1 in 2 updates;"):
        check_updates(algorithm, before, late, 2, all_kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": jnp.zeros(2, jnp.uint32)}, r"holds uint32\[2\] as `key`; keep one typed key"),
        ({"updates": 0}, r"holds int as `updates`; start from jnp\.zeros"),
        ({"updates": jnp.zeros(())}, r"holds float32\[\] as `updates`"),
        ({"updates": jnp.zeros(1, jnp.int32)}, r"holds int32\[1\] as `updates`"),
    ],
)
def test_states_that_a_run_cannot_use(change, message):
    algorithm = toy.make(toy.Config())
    state = algorithm.init(jax.random.key(0), toy.Hyper(), toy.data())
    check_state(algorithm, state)
    with pytest.raises(UsageError, match=f"^{re.escape('tests.run.toy: the state of `init`')} {message}"):
        check_state(algorithm, state.replace(**change))
