"""Learning on the paper's problems against values measured with the released settings."""

from functools import partial

import jax
import numpy as np
import pytest

from jaxrl.envs.coverage.coverage_grid import coverage_grid, two_rooms
from jaxrl.envs.coverage.item_collection import item_collection
from jaxrl.run.sweep import member_keys, stack_hypers
from jaxrl.run.train import train
from jaxrl.submodular import subpo
from jaxrl.submodular.features import with_features

pytestmark = pytest.mark.slow


def _final(problem, n_items, features, seeds, updates, lr, **fields):
    """Mean F over the last update's 500 episodes per seed [seeds], and the best episode of the whole run."""
    env = with_features(features, problem, n_items)
    trained = train(
        subpo.make(subpo.Config(**fields), env),
        member_keys(0, seeds),
        stack_hypers([subpo.Hyper(lr=lr)], seeds),
        jax.jit(env.default_params)(),
        updates=updates,
        log_every=1,
        progress=False,
    )
    return trained.history["train/F"][-1], float(trained.history["train/F_max"].max())


@pytest.fixture(scope="module")
def items_to_go():
    return _final(item_collection, 105, "markov_raw", 5, 150, 5e-3)


def test_item_collection_markov(items_to_go):
    last, best = items_to_go
    assert last[:3].mean() == pytest.approx(17.8, abs=0.6)
    assert best <= 21


def test_item_collection_with_a_memory():
    last, best = _final(item_collection, 105, "history_raw", 3, 150, 5e-3)
    assert last.mean() >= 20.0 and best <= 21


def test_item_collection_modpo():
    last, _ = _final(partial(item_collection, modular=True), 105, "markov_raw", 3, 150, 5e-3)
    assert last.mean() <= 12


def test_item_collection_released_credit_on_the_same_seeds(items_to_go):
    last, _ = _final(item_collection, 105, "markov_raw", 5, 150, 5e-3, credit="prefix", baseline="none")
    assert last.mean() == pytest.approx(14.1, abs=2)
    assert items_to_go[0].mean() > last.mean()


def test_two_rooms_needs_a_memory():
    """Three paired seeds."""
    markov, best = _final(two_rooms, 98, "markov", 3, 140, 3e-3)
    assert 37 <= markov.mean() <= 46 and best <= 68
    memory, best = _final(two_rooms, 98, "visited", 3, 140, 3e-3)
    assert memory.mean() >= markov.mean() + 5 and best <= 68


def test_bimodal_markov_and_the_released_credit_on_the_same_seeds():
    problem = partial(coverage_grid, "bimodal")
    last, best = _final(problem, 900, "markov_raw", 3, 140, 1e-3)
    assert last.mean() == pytest.approx(43.7, abs=1.5)
    # 40 visits see 82 cells at most
    assert np.all(last <= best) and best <= np.sort(problem().F.weight_map().ravel())[-82:].sum()
    released, _ = _final(problem, 900, "markov_raw", 3, 140, 1e-3, credit="prefix", baseline="none")
    assert last.mean() > released.mean()
