"""Task records: every one makes its environment, and results of different ones are refused."""

import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.adapters.brax_objectives import brax_objectives
from jaxrl.morl.tasks import TASKS, Task, check_same_record, task


@pytest.mark.parametrize("name", TASKS)
def test_record_fits_its_environment(name):
    record = task(name)
    env = record.make()
    assert env.reward_dim == len(record.reference) == record.preferences().shape[1]


def test_bodies_of_brax_name_their_back_end():
    assert task("hopper-3").make() == brax_objectives("hopper-3", "spring")
    with pytest.raises(UsageError, match=r"Brax\.backend: unknown 'bullet'"):
        Task("brax bullet ant-2", (-100.0, -100.0), 0.99, 500, "greedy", 0.01).make()


def test_unknown_task_names_the_nearest():
    with pytest.raises(UsageError, match="dst-concave"):
        task("dst-concav")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": (0.0, -50.0, 1.0)}, "has 3 numbers, but DeepSeaTreasure pays 2 rewards"),
        ({"gamma": 1.5}, r"Task\.gamma"),
        ({"horizon": 0}, r"Task\.horizon"),
        ({"evaluation": "mean"}, r"Task\.evaluation"),
        ({"grid_step": 0.3}, "1 / step"),
    ],
)
def test_records_that_cannot_be_are_refused(change, message):
    fields = task("dst-convex").record() | change
    with pytest.raises(UsageError, match=message):
        Task(**fields).make()


def test_results_of_different_records_are_refused_by_the_first_field():
    convex = task("dst-convex").record()
    check_same_record([("a", convex), ("b", dict(convex))])
    check_same_record([])
    with pytest.raises(UsageError, match=r"gamma: is 0\.99 in a and 0\.9 in b"):
        check_same_record([("a", convex), ("b", convex | {"gamma": 0.9})])
    with pytest.raises(UsageError, match="extra: is None in a and 1 in b"):
        check_same_record([("a", convex), ("b", convex | {"extra": 1})])
