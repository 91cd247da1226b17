"""The extension: its problems, its records, and what it refuses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.morl import cmorl, scalarised
from jaxrl.run.sweep import stack_hypers
from jaxrl.run.train import train
from tests.morl.finite_problems import ENV, EXACT, LEARNER, MDP, extension_hyper, scalarised_run

CONFIG = cmorl.Config(LEARNER, EXACT, selected=3, updates=4, rounds=2)
# both choices that are not the default in one program
OTHER = cmorl.Config(LEARNER, EXACT, selected=2, updates=1, rounds=1, thresholds="paper", selection="random")


@pytest.fixture(scope="module")
def archive():
    """What ten updates of three learners leave."""
    return scalarised_run(0, 10)[0].archive


@functools.cache
def compiled(config):
    """The extension of a configuration, compiled once for all tests."""
    algorithm = cmorl.make(config, ENV)
    return jax.jit(algorithm.init), jax.jit(algorithm.step)


def rounds(archive, config=CONFIG, count=2, **changes):
    """States before and after, and the metrics, of some rounds."""
    init, step = compiled(config)
    hyper, data = jax.tree.map(jnp.asarray, extension_hyper(**changes)), cmorl.Data(MDP, archive)
    first = state = init(jax.random.key(3), hyper, data)
    metrics = []
    for _ in range(count):
        state, found = step(state, hyper, data)
        metrics.append(found)
    return first, state, jax.tree.map(lambda *x: jnp.stack(x), *metrics)


@pytest.fixture(scope="module")
def extended(archive):
    return rounds(archive)


def test_hypervolume_with_exact_values_never_falls(archive, extended):
    _, state, metrics = extended
    before = scalarised.archive_metrics(archive, jnp.zeros(2))["hypervolume"]
    assert float(before) <= metrics["hypervolume"][0] + 1e-4
    assert np.all(np.diff(metrics["hypervolume"]) >= -1e-4)
    assert int(state.updates) == 2


def test_thresholds_keep_a_share_of_what_the_start_is_above_the_reference(extended):
    start, bound = (np.asarray(extended[2][f"extension/{n}"]) for n in ("start", "threshold"))
    np.testing.assert_allclose(bound, 0.9 * start, rtol=1e-6)  # the reference point is zero


def test_no_start_is_selected_twice(extended):
    _, state, metrics = extended
    starts = np.asarray(metrics["extension/start"]).reshape(2, 3, 2, 2)[:, :, 0]
    live = np.asarray(metrics["extension/live"])
    chosen = [tuple(g) for r in range(2) for g, on in zip(starts[r], live[r], strict=True) if on]
    assert len(set(chosen)) == len(chosen)
    assert int(state.seen.sum()) == len(chosen)


def test_members_of_a_round_carry_their_bounds(extended):
    _, state, _ = extended
    entries, valid = state.archive.entries, np.asarray(state.archive.valid)
    objective, bounds = np.asarray(entries.objective)[valid], np.asarray(entries.bounds)[valid]
    new = objective >= 0
    assert new.any() and np.isneginf(bounds[~new]).all()
    assert all(
        np.isneginf(b[o]) and np.isfinite(b[1 - o]) for b, o in zip(bounds[new], objective[new], strict=True)
    )


def test_too_few_members_are_padded_and_padding_is_not_archived(archive):
    few = archive.replace(
        valid=jnp.arange(len(archive.valid)) == jnp.argmax(archive.valid),
        entries=archive.entries.replace(
            returns=jnp.where(
                (jnp.arange(len(archive.valid)) == jnp.argmax(archive.valid))[:, None],
                archive.entries.returns,
                -jnp.inf,
            )
        ),
    )
    _, state, metrics = rounds(few, count=1)
    assert metrics["selected"].tolist() == [1]
    assert metrics["extension/live"].tolist() == [[True, False, False]]
    found = np.asarray(state.archive.entries.start)[np.asarray(state.archive.valid)]
    assert set(found[1:]) <= {0} | set(np.asarray(archive.entries.start))
    assert float(metrics["feasible"].count[0]) == 2 * 4


def test_paper_thresholds_of_negative_returns_fall_back_and_are_counted(archive):
    reference = np.array([-1.0, -9.0], np.float32)
    shifted = archive.replace(
        entries=archive.entries.replace(returns=archive.entries.returns - jnp.array([[0.0, 8.5]]))
    )
    _, _, metrics = rounds(shifted, OTHER, 1, reference=reference)
    start, bound = (np.asarray(metrics[f"extension/{n}"])[0].reshape(4, 2) for n in ("start", "threshold"))
    assert (start[:, 1] < 0).all() and (start[:, 0] > 0).all()
    np.testing.assert_allclose(bound[:, 0], 0.9 * start[:, 0], rtol=1e-6)
    np.testing.assert_allclose(bound[:, 1], -9 + 0.9 * (start[:, 1] + 9), rtol=1e-5)
    # runs of objective 0 are constrained in objective 1 and fall back; the others are not
    assert float(metrics["fallback"].total[0]) == 2 and float(metrics["fallback"].count[0]) == 4


def test_random_selection_takes_members(archive):
    _, _, metrics = rounds(archive, OTHER, 1)
    starts = np.asarray(metrics["extension/start"])[0].reshape(2, 2, 2)[:, 0]
    known = np.asarray(archive.entries.returns)[np.asarray(archive.valid)]
    assert all((known == g).all(-1).any() for g in starts)


def test_a_policy_that_is_not_finite_leaves_the_archive_as_it_was(archive):
    """An infinite learning rate breaks every run at once: the losses say which, the members stay."""
    learner = extension_hyper().learner.replace(lr=np.float32(np.inf))
    _, state, metrics = rounds(archive, count=1, learner=learner)
    assert not all(np.isfinite(metrics[f"loss/{i}"]).all() for i in range(6))
    np.testing.assert_array_equal(state.archive.entries.returns, archive.entries.returns)


def test_multipliers_of_the_lagrangian_act_within_a_round(archive):
    """A gain so large that violations turn the actor to the constrained objective keeps more of them."""
    config = cmorl.Config(LEARNER, EXACT, selected=3, updates=4, rounds=2, optimiser="lagrangian")
    held = [
        float(rounds(archive, config, 1, beta=1.0, integral=gain)[2]["feasible"].total[0])
        for gain in (0.0, 1e6)
    ]
    assert held[1] > held[0]


def test_steps_of_cpo_without_a_feasible_point_recover_and_the_metrics_of_the_run_count_them(archive):
    """Two members of one program: bounds that hold at the start, and bounds that no step meets."""
    config = cmorl.Config(LEARNER, EXACT, selected=2, updates=3, rounds=1, optimiser="cpo")
    # z + beta (G - z) is above every return where z is
    references = np.array([[0.0, 0.0], [100.0, 100.0]], np.float32)
    trained = train(
        cmorl.make(config, ENV),
        jax.random.split(jax.random.key(3), 2),
        stack_hypers([extension_hyper(reference=z) for z in references], 1),
        cmorl.Data(*jax.tree.map(lambda x: jnp.stack([x, x]), (MDP, archive))),
        shared_data=False,
        updates=1,
        log_every=1,
        progress=False,
    )
    assert trained.history["recovered"].tolist() == [[0.0, 1.0]]
    assert trained.history["feasible"][0, 1] == 0.0 < trained.history["feasible"][0, 0]
    start, end, bound = (
        trained.history[f"extension/{n}"][0].reshape(2, 2, 2, 2) for n in ("start", "end", "threshold")
    )
    # the constrained return of both runs of every start: columns 1 of run 0 and 0 of run 1
    rise = (end - start)[:, :, [0, 1], [1, 0]]
    assert (bound[1] > 10).all() and (end <= 10).all()  # rewards are at most 1, the discount is 0.9
    assert (rise[1] > 0).all() and (rise[1] > rise[0]).all()


@pytest.mark.parametrize(
    ("config", "changes", "words"),
    [
        (cmorl.Config(LEARNER, EXACT, selected=17), {}, "16 members are fewer than Config.selected 17"),
        (CONFIG, {"reference": np.zeros(3, np.float32)}, r"Hyper.reference: must be \[2\]"),
    ],
)
def test_what_does_not_fit_is_refused(archive, config, changes, words):
    with pytest.raises(UsageError, match=words):
        cmorl.make(config, ENV).init(jax.random.key(0), extension_hyper(**changes), cmorl.Data(MDP, archive))


def test_an_archive_of_other_objectives_is_refused(archive):
    three = archive.replace(entries=archive.entries.replace(returns=jnp.zeros((16, 3))))
    with pytest.raises(UsageError, match="3 objectives, the environment has 2"):
        cmorl.make(CONFIG, ENV).init(jax.random.key(0), extension_hyper(), cmorl.Data(MDP, three))


def test_the_same_key_gives_the_same_archive_bit_for_bit_and_another_key_another(archive):
    init, step = compiled(CONFIG)
    hyper, data = jax.tree.map(jnp.asarray, extension_hyper()), cmorl.Data(MDP, archive)
    one, again, other = (
        step(init(jax.random.key(k), hyper, data), hyper, data)[0].archive for k in (3, 3, 4)
    )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.entries.returns, other.entries.returns)


@pytest.mark.slow  # operation by operation
def test_a_round_without_jit_is_the_compiled_one(archive):
    """Returns of all runs; rows of the archive may differ where comparisons of rounded numbers do."""
    algorithm = cmorl.make(CONFIG, ENV)
    hyper, data = jax.tree.map(jnp.asarray, extension_hyper()), cmorl.Data(MDP, archive)
    plain = algorithm.step(algorithm.init(jax.random.key(3), hyper, data), hyper, data)[1]
    _, _, metrics = rounds(archive, count=1)
    np.testing.assert_allclose(plain["extension/end"], metrics["extension/end"][0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("selected", [1, 3])
def test_all_runs_of_a_round_are_one_trace_of_the_learner(archive, monkeypatch, selected):
    """However many runs there are, PPO's update is traced once, so that one program serves all of them."""
    from jaxrl.baselines import ppo

    traced, made = [], ppo.make

    def counting(*args, **options):
        inner = made(*args, **options)

        def step(state, hyper, data):
            traced.append(0)
            return inner.step(state, hyper, data)

        return inner._replace(step=step)

    monkeypatch.setattr(ppo, "make", counting)
    algorithm = cmorl.make(cmorl.Config(LEARNER, EXACT, selected=selected, updates=4, rounds=2), ENV)
    hyper, data = jax.tree.map(jnp.asarray, extension_hyper()), cmorl.Data(MDP, archive)
    state = jax.eval_shape(algorithm.init, jax.random.key(0), hyper, data)
    jax.jit(algorithm.step).lower(state, hyper, data)
    assert len(traced) == 1
