"""The driver against plain loops, and what its numbers must not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import Positive, Share
from jaxrl.core.prng import stream
from jaxrl.core.types import Mean, struct
from jaxrl.run.log import Clock, Pace, averages
from jaxrl.run.sweep import member_keys, sweep
from jaxrl.run.train import Schedule, train
from tests.run import toy


def run(members=3, updates=13, width=0, **options):
    config = toy.Config(width=width, poison=options.pop("poison", None))
    return train(
        options.pop("algorithm", toy.make(config)),
        member_keys(0, members),
        toy.hypers(members),
        toy.data(),
        updates=updates,
        progress=False,
        **options,
    )


def leaves(trained):
    """Every array, keys as integers."""
    trained = trained._replace(state=trained.state.replace(key=jax.random.key_data(trained.state.key)))
    return {
        jax.tree_util.keystr(p): np.asarray(x)
        for p, x in jax.tree_util.tree_leaves_with_path(trained._asdict())
    }


def assert_identical(a, b):
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), name


def test_history_equals_a_loop_of_single_updates():
    trained = run(members=2, updates=10, log_every=4, evaluate=toy.evaluate, eval_every=5)
    algorithm = toy.make(toy.Config())
    step, hypers, data = jax.jit(algorithm.step), toy.hypers(2), toy.data()
    assert trained.update.tolist() == [4, 5, 8, 10]
    for member, key in enumerate(member_keys(0, 2)):
        k_algo, k_eval = jax.random.split(key)
        hyper = jax.tree.map(lambda x: x[member], hypers)  # noqa: B023
        state, rows = algorithm.init(k_algo, hyper, data), []
        for update in range(10):
            state, metrics = step(state, hyper, data)
            rows.append(metrics)
            if update + 1 in (5, 10):
                value = toy.evaluate(stream(k_eval, update + 1), state, hyper, data)["eval/value"]
                row = trained.update.tolist().index(update + 1)
                np.testing.assert_allclose(trained.history["eval/value"][row, member], value, rtol=1e-6)
        for row, (first, last) in enumerate([(0, 4), (4, 5), (5, 8), (8, 10)]):
            part = rows[first:last]
            for name in ("reward", "loss", "visits"):
                mean = np.mean([np.asarray(m[name], np.float64) for m in part], axis=0)
                np.testing.assert_allclose(trained.history[name][row, member], mean, rtol=1e-6, atol=1e-7)
            total, count = (sum(float(m["goal"][i]) for m in part) for i in (0, 1))
            expected = total / count if count else np.nan
            np.testing.assert_allclose(trained.history["goal"][row, member], expected, rtol=1e-6)
        assert int(trained.state.updates[member]) == 10
    assert np.isnan(trained.history["eval/value"][[0, 2]]).all()
    assert trained.history["visits"].shape == (4, 2, toy.STATES)


def test_chunks_change_no_bit():
    whole = run(updates=20, width=8, chunk=20, log_every=20, evaluate=toy.evaluate)
    for chunk in (10, 1):
        assert_identical(whole, run(updates=20, width=8, chunk=chunk, log_every=20, evaluate=toy.evaluate))


@pytest.mark.parametrize("lane", [1, 2])
def test_devices_change_no_bit(lane):
    runs = [run(members=8, updates=12, width=8, lane=lane, devices=jax.devices()[:d]) for d in (2, 3, 4)]
    assert_identical(runs[0], runs[1])
    assert_identical(runs[0], runs[2])


def test_solo_run_is_a_population_of_one():
    one, three = run(members=1, width=8), run(members=3, width=8)
    many = leaves(three)
    for name, x in leaves(one).items():
        if name == "['update']":
            assert (x == many[name]).all()
        else:
            y = many[name][:, :1] if name.startswith("['history']") else many[name][:1]
            if name not in ("['history']['eval/value']",):
                # the learning rates of toy.hypers differ between population sizes only beyond the first
                assert x.tobytes() == y.tobytes(), name


def test_evaluation_key_depends_on_member_and_update_only():
    dense = run(updates=12, evaluate=toy.evaluate, eval_every=3)
    sparse = run(updates=12, evaluate=toy.evaluate, eval_every=6, log_every=5)
    for update in (6, 12):
        a = dense.history["eval/value"][dense.update.tolist().index(update)]
        b = sparse.history["eval/value"][sparse.update.tolist().index(update)]
        assert a.tobytes() == b.tobytes()


def test_the_update_is_traced_once():
    traces = []
    algorithm = toy.make(toy.Config())

    def step(state, hyper, data):
        traces.append(1)
        return algorithm.step(state, hyper, data)

    run(members=5, updates=30, log_every=7, chunk=4, algorithm=algorithm._replace(step=step))
    assert len(traces) == 1


def test_the_callers_arrays_survive_donation():
    keys, hypers, data = member_keys(0, 2), toy.hypers(2), toy.data()
    for _ in range(2):
        train(toy.make(toy.Config()), keys, hypers, data, updates=3, progress=False)
    assert not any(x.is_deleted() for x in jax.tree.leaves((keys, hypers, data)))


def test_schedule_points_do_not_depend_on_where_one_starts():
    schedule = Schedule(updates=23, log_every=4, eval_every=6, checkpoint_every=10)
    expected = sorted({*range(4, 24, 4), *range(6, 24, 6), *range(10, 24, 10), 23})
    for start in range(23):
        found, update = [], start
        while update < 23:
            update = schedule.following(update)
            found.append(update)
        assert found == [p for p in expected if p > start]
    assert [u for u in range(1, 24) if schedule.saves(u)] == [10, 20, 23]
    assert [u for u in range(1, 24) if schedule.evaluates(u)] == [6, 12, 18, 23]


def test_averages_merge_counts_and_name_what_is_not_finite():
    metrics = {
        "a": Mean(np.float32([6.0, 0.0, np.inf]), np.float32([3.0, 0.0, 1.0])),
        "b": Mean(np.float32([[2.0, 4.0]] * 3), np.float32([2.0, 0.0, 4.0])),
    }
    values, bad = averages(metrics, ("a", "b"))
    assert values == {"a": [2.0, None, np.inf], "b": [[1.0, 2.0], [None, None], [0.5, 1.0]]}
    assert bad == ["a"]


def test_time_never_runs_backwards(monkeypatch, tmp_path):
    ticks = iter([100.0, 101.0, 103.5])
    monkeypatch.setattr("time.monotonic", lambda: next(ticks))
    monkeypatch.setattr("time.time", lambda: -1e9)  # the system clock is set back
    clock = Clock(wall_s=50.0)
    assert [clock.read()["wall_s"] for _ in range(2)] == [51.0, 53.5]
    pace = Pace()
    pace.add(10, -5.0)
    assert pace.seconds == 0.0


def test_pace_is_exponentially_weighted():
    pace = Pace()
    for seconds in (1.0, 2.0, 4.0):
        pace.add(2, seconds)
    assert pace.seconds == pytest.approx(0.7 * (0.7 * 0.5 + 0.3 * 1.0) + 0.3 * 2.0)


def test_double_precision_is_refused_where_declaration_and_setting_of_jax_differ():
    with jax.enable_x64(True), pytest.raises(UsageError, match="does not declare it; pass float64=True"):
        run()
    with pytest.raises(UsageError, match="float64: declared, but jax computes in float32; enter `with jax"):
        run(float64=True)
    with pytest.raises(UsageError, match="float64: must be True or False, got 'yes'"):
        run(float64="yes")


def test_a_declared_float64_run_is_a_loop_of_float64_updates_with_float32_metrics():
    with jax.enable_x64(True):
        trained = run(members=2, updates=5, log_every=5, width=4, float64=True)
        algorithm, hypers, data = toy.make(toy.Config(width=4)), toy.hypers(2), toy.data()
        step, rewards = jax.jit(algorithm.step), []
        hyper = jax.tree.map(lambda x: x[1], hypers)
        state = algorithm.init(jax.random.split(member_keys(0, 2)[1])[0], hyper, data)
        for _ in range(5):
            state, metrics = step(state, hyper, data)
            rewards.append(metrics["reward"])
    assert trained.state.params["w1"].dtype == jnp.float64
    np.testing.assert_allclose(trained.state.params["w1"][1], state.params["w1"], rtol=1e-13)
    assert trained.history["loss"].dtype == np.float32
    np.testing.assert_allclose(trained.history["reward"][0, 1], np.mean(rewards), rtol=1e-6)


def test_a_sweep_hands_the_declaration_on():
    with jax.enable_x64(True):
        members = sweep(
            toy.make,
            [(toy.Config(), toy.Hyper(lr=lr)) for lr in (0.1, 0.2)],
            seeds=1,
            data=toy.data(),
            updates=2,
            progress=False,
            float64=True,
        )
        assert {m.state.params["q"].dtype.name for m in members} == {"float64"}


def test_metrics_that_collide_are_refused():
    with pytest.raises(UsageError, match="'reward' is also a training metric"):
        run(evaluate=lambda key, state, hyper, data: {"reward": jnp.zeros(())})


def test_a_review_warns_of_the_members_that_it_concerns(capfd):
    def judge(history):
        assert history["visits"].shape == (2, toy.STATES)
        return f"reward {history['reward'][-1]:.2f}" if judged.pop() else None

    algorithm = toy.make(toy.Config())._replace(review=judge)
    judged = [True, True, False]  # from the last member to the first
    trained = run(algorithm=algorithm, updates=4, log_every=2, poison=None)
    said = capfd.readouterr().err
    assert f"warning: seed 1 and 1 more: reward {trained.history['reward'][-1, 1]:.2f}" in said
    judged = [False, False, False]
    run(algorithm=algorithm, updates=4, log_every=2)
    assert "warning: seed" not in capfd.readouterr().err


@struct.dataclass
class Ranged:
    lr: Positive = 0.1
    gamma: Share = 0.9


@struct.dataclass
class Nested:
    inner: Ranged
    free: float = -1.0


@pytest.mark.parametrize("nested", [False, True])
def test_hyper_parameters_out_of_range_are_refused_before_anything_is_made(nested):
    def make(config):
        raise AssertionError("made")

    def hyper(**fields):
        return Nested(Ranged(**fields)) if nested else Ranged(**fields)

    name = r"Nested\.inner\.gamma" if nested else r"Ranged\.gamma"
    with pytest.raises(UsageError, match=name + r": must be in \[0, 1\], got 1\.5"):
        sweep(make, [(0, hyper()), (1, hyper(gamma=1.5))], seeds=1, data=toy.data(), updates=1)
    stacked = hyper(lr=jnp.ones(2), gamma=jnp.asarray([0.5, jnp.nan]))
    with pytest.raises(UsageError, match=name):
        train(make, member_keys(0, 2), stacked, toy.data(), updates=1)
