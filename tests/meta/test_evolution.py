"""Evolution beside estimates that were worked out by hand, and what it does with NaN and ties."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core import spmd
from jaxrl.core.errors import UsageError
from jaxrl.core.fields import check_numbers
from jaxrl.core.prng import streams
from jaxrl.core.spaces import Box
from jaxrl.meta import evolution
from jaxrl.meta.objective import MASKS
from jaxrl.run.sweep import member_keys
from jaxrl.run.train import train

NAN = np.nan
TARGET = jnp.array([0.3, -0.2, 0.5])


def quadratic(broken=lambda phi, task: False, start=TARGET * 0):
    """Distance to a point, with noise that comes with the task."""

    def fitness(phi, task, settings, data):
        value = -0.5 * jnp.sum(jnp.square(phi - TARGET)) + jax.random.normal(task)
        return jnp.where(broken(phi, task), jnp.nan, value)

    box = Box(-np.inf, np.inf, ())
    answer = lambda phi, obs, settings: phi.sum()  # noqa: E731
    return evolution.Problem(lambda key: start, streams, fitness, answer, box, box)


def runs(problem, config, generations, **hyper):
    algorithm = evolution.make(config, problem)
    hyper = evolution.Hyper(**hyper)
    state = algorithm.init(jax.random.key(0), hyper, ())
    return jax.jit(
        lambda state: jax.lax.scan(lambda s, _: algorithm.step(s, hyper, ()), state, None, length=generations)
    )(state)


@pytest.mark.parametrize(
    ("shaping", "expected"),
    [
        ("pairwise", [1, -1, 0, 1, -1, 0]),
        ("centred", None),
        ("difference", None),
        ("z-score", None),
    ],
)
def test_weights_favour_the_better_sign_and_ignore_ties(shaping, expected):
    fitness = jnp.array([[3.0, 1.0], [0.0, 2.0], [1.5, 1.5], [5.0, NAN], [NAN, -4.0], [NAN, NAN]])
    weights = np.asarray(evolution.shaped(fitness, shaping))
    assert np.sign(weights).tolist() == [1, -1, 0, 1, -1, 0]
    if expected is not None:
        assert weights.tolist() == expected


def test_centred_ranks_are_those_of_the_sorted_population():
    fitness = jnp.array([[3.0, 1.0], [0.0, 2.0]])
    assert evolution.shaped(fitness, "centred").tolist() == pytest.approx([2 / 3, -2 / 3])
    tied = jnp.array([[1.0, 0.0], [1.0, 1.0]])
    assert evolution.shaped(tied, "centred").tolist() == pytest.approx([2 / 3, 0])


def test_centred_ranks_equal_counts_of_all_pairs_with_ties_and_nan():
    rng = np.random.default_rng(0)
    fitness = rng.integers(0, 9, (32, 2)).astype(np.float32)
    fitness[rng.random((32, 2)) < 0.2] = NAN
    x = np.where(np.isnan(fitness), -np.inf, fitness).ravel()
    below, equal = ((compare(x[None], x[:, None])).sum(1) for compare in (np.less, np.equal))
    ranks = ((below + (equal - 1) / 2) / (x.size - 1)).reshape(32, 2)
    np.testing.assert_allclose(
        evolution.shaped(jnp.asarray(fitness), "centred"), ranks[:, 0] - ranks[:, 1], atol=1e-6
    )


def test_differences_and_z_scores_have_their_scale_divided_out():
    fitness = np.array([[3.0, 1.0], [0.0, 2.0], [4.0, 1.0]])
    difference = fitness[:, 0] - fitness[:, 1]
    rms = np.sqrt(np.mean(difference**2))
    for scale in (1.0, 100.0):
        scaled = jnp.asarray(scale * fitness)
        np.testing.assert_allclose(evolution.shaped(scaled, "difference"), difference / rms, rtol=1e-5)
        np.testing.assert_allclose(evolution.shaped(scaled, "z-score"), difference / fitness.std(), rtol=1e-5)


@pytest.mark.parametrize("shaping", ["pairwise", "centred", "z-score", "difference"])
def test_a_generation_that_says_nothing_has_weights_of_zero(shaping):
    for fitness in (jnp.full((3, 2), NAN), jnp.full((3, 2), 2.0)):
        assert evolution.shaped(fitness, shaping).tolist() == [0, 0, 0]


def test_the_pairwise_direction_of_a_linear_fitness_has_its_known_length():
    """sqrt(2/pi) / (2 sigma) along the gradient; 200,000 pairs have a standard error of 0.3 %."""
    gradient, sigma = jnp.array([0.7, 0.9, -2.0, -0.2, 2.0]), 0.1
    eps = evolution.perturbations(jax.random.key(0), 200_000, 5)
    change = sigma * eps @ gradient
    weights = evolution.shaped(jnp.stack([change, -change], axis=1), "pairwise")
    direction = weights @ eps / (2 * 200_000 * sigma)
    expected = np.sqrt(2 / np.pi) / (2 * sigma) * gradient / jnp.linalg.norm(gradient)
    assert np.linalg.norm(expected) == pytest.approx(3.98942, abs=1e-5)
    np.testing.assert_allclose(direction, expected, atol=0.05)


def test_evolution_climbs_to_the_optimum_and_keeps_the_best_mean():
    state, metrics = runs(quadratic(), evolution.Config(pairs=32, selection=4), 150, lr=0.05)
    assert float(jnp.linalg.norm(state.best_params - TARGET)) < 0.05
    chosen = np.asarray(metrics["selection_fitness"].total)[4::5]
    assert np.asarray(metrics["selection_fitness"].count).sum() == 30
    assert float(state.best_fitness) == chosen.max()
    assert int(state.best_generation) == 5 * (1 + chosen.argmax())


def test_before_the_first_choice_the_best_mean_is_the_last_one():
    config = evolution.Config(pairs=8, selection=2)
    state, _ = runs(quadratic(), config, config.select_every - 1)
    assert int(state.best_generation) == 4 and float(state.best_fitness) == -np.inf
    assert state.params.any() and np.array_equal(state.best_params, state.params)


def test_lanes_do_not_change_a_generation():
    wide, _ = runs(quadratic(), evolution.Config(pairs=8, selection=0), 3)
    narrow, _ = runs(quadratic(), evolution.Config(pairs=8, lane=2, selection=0), 3)
    np.testing.assert_allclose(wide.params, narrow.params, rtol=1e-5)


def test_lifetimes_that_break_are_counted_and_lose():
    """Every mean whose first entry grows is broken, so that entry falls although the optimum is above."""
    problem = quadratic(lambda phi, task: phi[0] > 0.0)
    state, metrics = runs(problem, evolution.Config(pairs=16, selection=2), 40)
    assert np.all(np.asarray(metrics["nan_lifetimes"])[:1] > 0)
    assert float(state.params[0]) < 0 < float(state.params[2])
    assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(metrics))


def test_generations_that_say_nothing_leave_the_mean_and_are_named():
    problem = quadratic(lambda phi, task: True)
    state, metrics = runs(problem, evolution.Config(pairs=4, selection=2, select_every=1), 3)
    assert state.params.tolist() == [0, 0, 0] and float(state.best_fitness) == -np.inf
    assert metrics["stalled"].tolist() == [1, 1, 1] and metrics["nan_lifetimes"].tolist() == [8, 8, 8]
    assert metrics["selection_fitness"].count.tolist() == [0, 0, 0]
    history = {"stalled": np.array([0.0, 0.5, 1.0]), "stalled_at": np.array([NAN, 7.0, 8.5])}
    assert evolution.review(history).startswith(
        "in generation 7 (and 1 more log points) all lifetimes were NaN"
    )
    assert evolution.review({"stalled": np.zeros(2), "stalled_at": np.full(2, NAN)}) is None


def test_a_mean_of_zeros_is_asked_for_by_name():
    problem = quadratic(start=TARGET)
    rates = {"lr": 1e-9, "sigma_decay": 0.5, "sigma_limit": 0.03, "lr_decay": 0.1, "lr_limit": 1e-10}
    zero, metrics = runs(problem, evolution.Config(pairs=2, start="zero", selection=0), 3, **rates)
    rule, _ = runs(problem, evolution.Config(pairs=2, selection=0), 3, **rates)
    np.testing.assert_allclose(zero.params, 0, atol=1e-7)
    np.testing.assert_allclose(rule.params, TARGET, atol=1e-7)
    np.testing.assert_allclose(metrics["sigma"], [0.1, 0.05, 0.03], rtol=1e-6)
    np.testing.assert_allclose(metrics["lr"], [1e-9, 1e-10, 1e-10], rtol=1e-6)


def test_what_cannot_be_run_is_refused_in_one_sentence():
    with pytest.raises(UsageError, match=r"Config\.pairs: 10 pairs cannot run 4 together"):
        evolution.Config(pairs=10, lane=4)
    for name in ("sigma", "lr", "lr_decay", "sigma_decay"):
        with pytest.raises(UsageError, match=rf"Hyper\.{name}: must be > 0"):
            check_numbers(evolution.Hyper(**{name: 0.0}))
    algorithm = evolution.make(evolution.Config(), quadratic()._replace(aware=True))
    with pytest.raises(UsageError, match=r"Hyper\.mask: no time input is live"):
        algorithm.check_hyper(evolution.Hyper(), ())
    algorithm.check_hyper(evolution.Hyper(mask=MASKS["paper"]), ())


def shared(work, pairs=4):
    """A population of one on two devices or more, `work` of which share it; None for no axis at all."""
    algorithm = evolution.make(
        evolution.Config(pairs=pairs, lane=1, selection=2, select_every=1),
        quadratic(),
        None if work is None else spmd.WORK,
    )
    hypers = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32)[None], evolution.Hyper())
    return train(
        algorithm,
        member_keys(0, 1),
        hypers,
        (),
        updates=3,
        devices=jax.devices()[:2],
        work=work,
        progress=False,
    )


def test_devices_that_share_a_generation_change_no_bit():
    alone, both = shared(None), shared(2)
    assert np.abs(alone.state.params).min() > 0.01
    for a, b in zip(jax.tree.leaves(alone.history), jax.tree.leaves(both.history), strict=True):
        assert a.tobytes() == b.tobytes()
    for name in ("params", "best_params", "best_fitness"):
        assert np.array_equal(getattr(alone.state, name), getattr(both.state, name)), name


def test_devices_that_share_a_generation_exchange_the_fitness_and_nothing_else():
    config = evolution.Config(pairs=4, lane=1, selection=0)
    algorithm, hyper = evolution.make(config, quadratic(), spmd.WORK), evolution.Hyper()
    state = algorithm.init(jax.random.key(0), hyper, ())
    mesh = jax.sharding.Mesh(jax.devices()[:2], (spmd.WORK,))
    everywhere = jax.sharding.PartitionSpec()
    step = jax.shard_map(
        lambda s: algorithm.step(s, hyper, ())[0],
        mesh=mesh,
        in_specs=everywhere,
        out_specs=everywhere,
        check_vma=False,
    )
    text = jax.jit(step).lower(state).compile().as_text()
    found = re.findall(r"= (\S+) (all-\w+|collective-\w+|reduce-scatter)(?:-start)?\(", text)
    assert [kind for _, kind in found] == ["all-gather"]
    sizes = re.match(r"f32\[([\d,]+)\]", found[0][0])[1]
    assert np.prod([int(n) for n in sizes.split(",")]) == 2 * config.pairs


def test_lanes_that_devices_cannot_share_are_refused():
    with pytest.raises(UsageError, match="work: 2 devices cannot share 3 lanes of 1 pairs"):
        shared(2, pairs=3)
