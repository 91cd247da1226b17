"""A folder answers for one run: whatever decides a result is compared before anything is continued."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import CorruptInput, UsageError
from jaxrl.run import identity
from jaxrl.run.checkpoint import Checkpoints
from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import member_keys, sweep
from jaxrl.run.train import train
from tests.run import toy


def folder_of(path):
    return RunFolder.create("toys/q", toy.Config(), path, "smoke")


def run(folder, config=None, algorithm=None, updates=4, **options):
    options = {"log_every": 2, "checkpoint_every": 2, "progress": False, **options}
    algorithm = toy.make(config or toy.Config()) if algorithm is None else algorithm
    return train(
        algorithm, member_keys(0, 2), toy.hypers(2), toy.data(), updates=updates, folder=folder, **options
    )


def scaled(factor):
    """The toy with a constant in its update that no configuration tells."""
    algorithm = toy.make(toy.Config())

    def step(state, hyper, data):
        state, metrics = algorithm.step(state, hyper, data)
        return state, metrics | {"loss": factor * metrics["loss"]}

    return algorithm._replace(step=step)


CASES = {
    "static part": ({"config": toy.Config(width=4)}, r"algorithm\.Config\.width: 0 -> 4"),
    "constant of the update": ({"algorithm": scaled(jnp.float32(2.0))}, r"program\.step: "),
    "array of the update": ({"algorithm": scaled(np.float32([1.0, 2.0])[1])}, r"program\.step: "),
    "evaluation": (
        {"evaluate": lambda *args: {"eval/value": toy.evaluate(*args)["eval/value"] + 1}},
        r"program\.evaluate: ",
    ),
    "no evaluation": ({"evaluate": None, "eval_every": None}, r"eval_every: 2 -> null"),
    "fewer updates": ({"updates": 2}, "updates: 4 -> 2"),
    "more updates": ({"updates": 8}, "updates: 4 -> 8"),
    "log points": ({"log_every": 1}, "log_every: 2 -> 1"),
    "evaluations": ({"eval_every": 4}, "eval_every: 2 -> 4"),
    "divergence": ({"on_nonfinite": "ignore"}, "on_nonfinite: "),
    "environment steps": ({"env_steps_per_update": 10}, "env_steps_per_update: null -> 10"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = folder_of(tmp_path_factory.mktemp("identity"))
    run(folder, evaluate=toy.evaluate, eval_every=2)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_another_run_is_refused_by_the_field_that_differs(trained, name):
    change, sentence = CASES[name]
    before = (trained.path / "metrics.jsonl").read_bytes()
    with pytest.raises(UsageError, match=f"differs; start a new run or undo the change: .*{sentence}"):
        run(trained, **{"evaluate": toy.evaluate, "eval_every": 2, **change})
    assert (trained.path / "metrics.jsonl").read_bytes() == before


def test_the_same_run_is_restored_and_more_checkpoints_are_allowed(trained):
    again = run(trained, evaluate=toy.evaluate, eval_every=2, checkpoint_every=1)
    assert again.update.tolist() == [2, 4]


def test_the_stages_of_a_sweep_are_those_of_its_static_parts(tmp_path):
    folder = folder_of(tmp_path)

    def study(*configs):
        members = [(config, toy.Hyper()) for config in configs]
        options = {"seeds": 1, "updates": 2, "folder": folder, "progress": False}
        return sweep(toy.make, members, data=toy.data(), **options)

    study(toy.Config(), toy.Config(width=4))
    study(toy.Config(), toy.Config(width=4))
    with pytest.raises(UsageError, match=r"train-0: .*algorithm\.Config\.width: 0 -> 4"):
        study(toy.Config(width=4), toy.Config())


def test_a_program_is_what_it_computes_not_where_it_lies():
    x = jax.ShapeDtypeStruct((3,), jnp.float32)

    def of(constant, function=jnp.tanh):
        return identity.program(jax.jit(lambda x: function(x) + jnp.asarray(constant)), x)

    assert of([1.0, 2.0, 3.0]) == of([1.0, 2.0, 3.0])
    assert of([1.0, 2.0, 3.0]) != of([1.0, 2.0, 4.0])
    assert of(1.0) != of(2.0) and of(1.0) != of(1.0, jax.nn.relu)


def damage(folder, change):
    path = folder.path / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(change(lines)))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [lines[0].replace('"reward": [', '"reward": [1'), *lines[1:]],
        lambda lines: lines[1:],
        lambda lines: [lines[0], *lines],
        lambda lines: [],
    ],
    ids=["a number", "a line less", "a line twice", "no line"],
)
def test_a_history_that_changed_is_refused_and_not_continued(tmp_path, change):
    folder = folder_of(tmp_path)
    run(folder)
    damage(folder, change)
    before = (folder.path / "metrics.jsonl").read_bytes()
    with pytest.raises(
        CorruptInput, match=r"metrics\.jsonl: the lines of stage train up to update 4 are not"
    ):
        run(folder)
    assert (folder.path / "metrics.jsonl").read_bytes() == before
    folder.resume_from = "latest-good"
    with pytest.raises(CorruptInput, match="none of the checkpoints"):
        run(folder)


def test_an_earlier_checkpoint_may_rely_on_lines_that_are_intact(tmp_path):
    folder = folder_of(tmp_path)
    whole = run(folder)
    damage(folder, lambda lines: lines[:-1])
    folder.resume_from = "latest-good"
    again = run(folder)
    assert Checkpoints(folder.checkpoints / "train").steps() == [2, 4]
    np.testing.assert_array_equal(whole.history["reward"], again.history["reward"])
