"""Values known of the small problems, to their digits: optima, numbers of optima, uniform policies, gaps."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.sets.log_det import LogDet, kernel_params
from jaxrl.submodular.exact import (
    best_markov_value,
    best_value,
    count_best,
    counted,
    covered,
    greedy_value,
    modular_policy,
    policy_value,
    successors,
    unfold,
    uniform_policy,
    visited,
)
from jaxrl.submodular.search import beam_search, greedy_rollout
from theory.submodular.instances import (
    COVERAGE,
    DESIGN,
    ITEMS,
    W16,
    W25,
    coverage,
    design,
    fork,
    grid,
    information,
    items,
    slippery_line,
    total_curvature,
    trap,
)


def uniform(problem):
    unfolded = problem.unfold()
    return float(policy_value(uniform_policy(unfolded, problem.mdp.n_states), unfolded))


# best, how many, uniform, greedy, F and modular value of the modular optimum; with slip: best, greedy
COVERAGE_TABLE = {
    "A": (5, 14, 2.5424, 5, 1, 5, 4.77779984, 4.74037424),
    "B": (14, 2, 7.65056, 14, 4, 24, 13.2203357696, 13.1985471296),
    "C": (91, 1, 48.56032, 85, 31, 186, 85.9560558112, 81.3614878432),
    "C2": (94, 4, 57.80032, 81, 54, 190, 91.1190497632, 79.4615108992),
    "D": (96, 1, 48.7397376, 96, 32, 213, 90.4846059102, 89.2037587790),
    "D2": (118, 1, 61.65808128, 115, 53, 269, 111.1355497016, 107.4251403658),
}


@pytest.mark.parametrize("name", COVERAGE_TABLE)
def test_values_of_coverage(name):
    problem, slippery = coverage(name), coverage(name, 0.1).unfold()
    unfolded, n = problem.unfold(), problem.mdp.n_states
    actions, modular = modular_policy(problem.mdp, problem.memory.alone(n), problem.states)
    found = (
        best_value(unfolded),
        count_best(unfolded),
        uniform(problem),
        greedy_value(unfolded),
        float(policy_value(np.eye(5)[actions], unfolded)),
        modular,
        best_value(slippery),
        greedy_value(slippery),
    )
    np.testing.assert_allclose(found, COVERAGE_TABLE[name], rtol=0, atol=1e-9)


def test_weights_of_the_tables():
    assert W16.tolist() == [4, 11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 11, 7, 3, 10]
    assert W25[:6].tolist() == [1, 9, 1, 3, 2, 11]


# optimum, greedy, uniform, F of staying, F of one place, F of all places once
DESIGN_TABLE = {
    "G1": (5.0822162053, 5.0822162053, 3.7433684534, 1.9659128164, 1.1989476364, 8.5756760650),
    "G2": (10.6175495828, 10.2384382640, 7.4066799525, 3.2762539435, 2.3075602584, 17.8774441162),
    "G3": (11.1406933346, 10.8440334198, 7.4336759508, 3.0933131432, 2.1264905688, None),
}


@pytest.mark.parametrize("name", DESIGN_TABLE)
def test_values_of_design(name):
    side, K, noise, start, states = DESIGN[name]
    problem, f = design(name), information(K, noise)
    unfolded = problem.unfold()
    found = (
        best_value(unfolded),
        greedy_value(unfolded),
        uniform(problem),
        f((start,) * states),
        f((start,)),
    )
    np.testing.assert_allclose(found, DESIGN_TABLE[name][:5], rtol=0, atol=1e-8)
    assert f((start,) * states) == pytest.approx(0.5 * np.log(1 + states * K[0, 0] / noise), abs=1e-10)
    if DESIGN_TABLE[name][5] is not None:
        assert f(tuple(range(side**2))) == pytest.approx(DESIGN_TABLE[name][5], abs=1e-8)


@pytest.mark.parametrize("name", DESIGN_TABLE)
def test_log_det_is_the_information_of_the_table(name):
    """The fold and the planners on it: values, greedy path, optimum, and gains against determinants."""
    side, K, noise, start, states = DESIGN[name]
    f, mdp = information(K, noise), design(name).mdp
    successor, probability = successors(mdp.P)
    best, greedy, _, stay, alone, everything = DESIGN_TABLE[name]
    paths = np.random.default_rng(0).integers(side**2, size=(40, states)).astype(np.int32)
    with jax.enable_x64(True):
        F, params = LogDet(side**2, side**2), kernel_params(K, noise)

        @jax.jit
        def along(path):
            return jax.lax.scan(lambda s, v: F.add(params, s, v), F.init(params), path)[1]

        @jax.jit
        def walk(key):
            moves = jnp.asarray(successor, jnp.int32), jnp.asarray(probability)
            return greedy_rollout(F, params, *moves, jnp.int32(start), states, key).value

        found = along(jnp.full(states, start, jnp.int32))
        np.testing.assert_allclose([found.sum(), found[0]], [stay, alone], rtol=0, atol=1e-8)
        assert float(walk(jax.random.key(0))) == pytest.approx(greedy, abs=1e-8)
        assert beam_search(F, params, mdp.P.argmax(-1), start, states, 400)[1] == pytest.approx(
            best, abs=1e-8
        )
        if everything is not None:
            assert float(along(jnp.arange(side**2, dtype=jnp.int32)).sum()) == pytest.approx(
                everything, abs=1e-8
            )
        gains = np.asarray(jax.vmap(along)(paths))
    expected = [[f(tuple(p[: t + 1])) - f(tuple(p[:t])) for t in range(states)] for p in paths.tolist()]
    np.testing.assert_allclose(gains, expected, rtol=0, atol=1e-10)
    assert np.all(gains > 0)


@pytest.mark.parametrize(
    ("name", "known"), [("I1", (4, 3.9208749536, 1.71776, 6)), ("I2", (6, 5.7510160112, 2.6915456, 8))]
)
def test_values_of_items(name, known):
    problem = items(name)
    reward = problem.memory.alone(problem.mdp.n_states)
    found = (
        best_value(problem.unfold()),
        best_value(items(name, 0.1).unfold()),
        uniform(problem),
        modular_policy(problem.mdp, reward, problem.states)[1],
    )
    np.testing.assert_allclose(found, known, rtol=0, atol=1e-9)
    assert len("".join(ITEMS[name][0])) == problem.mdp.n_states


def test_values_with_memory_and_of_markov_policies_are_the_known_fractions():
    with jax.enable_x64(True):
        for problem, memory, markov in (
            (fork(), Fraction(3), Fraction(5, 2)),
            (slippery_line(), Fraction(1823, 675), Fraction(8959, 3375)),
        ):
            unfolded = problem.unfold()
            assert best_value(unfolded) == pytest.approx(float(memory), abs=1e-12)
            assert best_markov_value(unfolded, 3) == pytest.approx(float(markov), abs=1e-12)


@pytest.mark.parametrize(("length", "start"), [(3, 1.875), (4, 1.25)])
def test_values_of_the_trap(length, start):
    """Optimum and uniform policy."""
    problem = trap(length, 10.0)
    assert best_value(problem.unfold()) == 10 and uniform(problem) == pytest.approx(start, abs=1e-12)


def test_refuses_what_it_cannot_hold():
    problem = coverage("E")
    for call, sentence in (
        (lambda: unfold(problem.mdp, problem.memory, 1), "unfold.states: must be >= 2"),
        (lambda: covered(np.ones((2, 65), bool), np.ones(65)), "65 bits"),
        (lambda: visited(65, len), "65 bits"),
        (lambda: counted(20, 9, len), "80 bits"),
        (lambda: best_markov_value(problem.unfold(), 4, most=10), "more than 10"),
        (lambda: total_curvature(problem), "bonus"),
        (
            lambda: covered(np.ones((2, 3), bool), -np.ones(3)),
            "covered.weight: must be 3 finite weights >= 0",
        ),
        (lambda: covered(np.ones((2, 3), bool), np.ones(2)), "covered.weight: must be 3 finite weights >= 0"),
        (lambda: covered(np.ones((2, 1), bool), [np.inf]), "covered.weight: must be 1 finite weights"),
        (lambda: problem._replace(bonus=np.ones((3, 4))).unfold(), r"unfold.bonus: shape \(3, 4\)"),
        (lambda: unfold(problem.mdp, covered(np.ones((3, 2), bool), np.ones(2)), 4), "knows 3 places"),
        (lambda: modular_policy(problem.mdp, np.ones((3, 4)), 4), r"modular_policy.reward: shape \(3, 4\)"),
        (lambda: count_best(coverage("E", 0.1).unfold()), "count_best.problem: moves or start are random"),
        (lambda: count_best(fork().unfold()), "count_best.problem: moves or start are random"),
    ):
        with pytest.raises(UsageError, match=sentence):
            call()
    with jax.enable_x64(True):
        from jaxrl.envs.tabular.mdp import time_indexed

        with pytest.raises(UsageError, match="take 3 actions, but the tables have H = 5"):
            unfold(jax.tree.map(np.asarray, time_indexed(problem.mdp, 5)), problem.memory, 4)


def test_grid_tables_are_exact():
    """Slips spread over all five moves, the chosen one included."""
    P = np.asarray(grid(2, 2, 0, 0.1).P)
    assert P.dtype == np.float64
    np.testing.assert_allclose(P[0, 1], [0.06, 0.92, 0.02, 0], atol=1e-15)
    assert set(COVERAGE) == {*COVERAGE_TABLE, "E"}
