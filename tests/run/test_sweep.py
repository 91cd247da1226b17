"""Compile buckets, seeds and grids."""

from dataclasses import dataclass, field

import jax
import numpy as np

from jaxrl.run.folder import RunFolder
from jaxrl.run.sweep import _labels, member_keys, sweep
from tests.run import toy


@dataclass(frozen=True)
class Config:
    algo: toy.Config = field(default_factory=toy.Config)
    hyper: toy.Hyper = field(default_factory=toy.Hyper)
    seeds: int = 2
    grid: dict = field(default_factory=dict)


def run(members, seeds, make=toy.make, **options):
    return sweep(make, members, seeds=seeds, data=toy.data(), updates=9, progress=False, **options)


def test_seeds_do_not_depend_on_how_many_there_are():
    eight, three = member_keys(5, 8), member_keys(5, 3)
    assert (jax.random.key_data(eight)[:3] == jax.random.key_data(three)).all()
    members = [(toy.Config(width=8), toy.Hyper(lr=0.1))]
    many, few = run(members, 8), run(members, 3)
    for a, b in zip(few, many, strict=False):
        for x, y in zip(jax.tree.leaves(a.state.params), jax.tree.leaves(b.state.params), strict=True):
            assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def test_one_trace_per_bucket_and_results_in_order():
    made, traces = [], []

    def make(config):
        algorithm = toy.make(config)
        made.append(config)

        def step(state, hyper, data):
            traces.append(config)
            return algorithm.step(state, hyper, data)

        return algorithm._replace(step=step)

    table, net = toy.Config(), toy.Config(width=4)
    rates = [0.01 * i for i in range(1, 9)]
    members = [(table if i % 2 else net, toy.Hyper(lr=r)) for i, r in enumerate(rates)]
    found = run(members, 2, make, evaluate=lambda static: toy.evaluate)
    assert traces == made == [net, table]
    assert [(m.index, m.seed) for m in found] == [(i, s) for i in range(8) for s in range(2)]
    for m in found:
        assert (m.static, m.hyper) == members[m.index]
        assert np.asarray(m.bucket.state.params["q" if m.static == table else "w1"]).shape[0] == 8
        assert m.first_bad["loss"] == -1
    alone = run([members[3]], 2)
    for m, one in zip(found[6:8], alone, strict=True):
        assert (np.asarray(m.state.params["q"]) == np.asarray(one.state.params["q"])).all()
        np.testing.assert_array_equal(m.history["loss"], one.history["loss"])


def test_labels_name_seed_and_what_differs(capsys):
    config = toy.Config(poison=(2, -1))  # shared data: every member
    run([(config, toy.Hyper(lr=0.1)), (config, toy.Hyper(lr=0.25))], 2)
    text = capsys.readouterr().err
    assert "NonFinite: run train, seed 1 (lr=0.25): 'reward' at update 2" in text
    assert "seed 0 (lr=0.1): 'reward'" in text


def test_labels_say_which_weights_differ():
    hypers = [{"lr": 1e-3, "w": np.array(w)} for w in ([1.0, 0.0], [0.0, 1.0])]
    assert _labels(hypers, 1) == ["seed 0 (w=[1.0, 0.0])", "seed 0 (w=[0.0, 1.0])"]


def test_environment_steps_are_counted_by_static_part(tmp_path):
    folder = RunFolder.create("toys/q", toy.Config(), tmp_path, "smoke")
    members = [(toy.Config(width=w), toy.Hyper()) for w in (0, 4)]
    run(members, 1, folder=folder, log_every=9, env_steps_per_update=lambda static: 10 + static.width)
    assert {r["stage"]: r["env_steps"] for r in folder.read_metrics()} == {"train-0": 90, "train-1": 126}
