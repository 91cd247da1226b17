"""Every number known of the small problems, to its digits: optima, gradients, variances, gaps, bandits."""

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
    myopic_value,
    policy_value,
    successors,
    unfold,
    uniform_policy,
    visited,
)
from jaxrl.submodular.search import beam_search, greedy_rollout
from theory.submodular import bandit
from theory.submodular.ascent import climb
from theory.submodular.estimators import mean, samples, variance, weights
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
    random_problem,
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
def test_coverage_optima(name):
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
def test_information_gain(name):
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
    ("name", "numbers"), [("I1", (4, 3.9208749536, 1.71776, 6)), ("I2", (6, 5.7510160112, 2.6915456, 8))]
)
def test_items(name, numbers):
    """Table 7.5."""
    problem = items(name)
    reward = problem.memory.alone(problem.mdp.n_states)
    found = (
        best_value(problem.unfold()),
        best_value(items(name, 0.1).unfold()),
        uniform(problem),
        modular_policy(problem.mdp, reward, problem.states)[1],
    )
    np.testing.assert_allclose(found, numbers, rtol=0, atol=1e-9)
    assert len("".join(ITEMS[name][0])) == problem.mdp.n_states


def test_markov_gap():
    """The fractions."""
    with jax.enable_x64(True):
        for problem, memory, markov in (
            (fork(), Fraction(3), Fraction(5, 2)),
            (slippery_line(), Fraction(1823, 675), Fraction(8959, 3375)),
        ):
            unfolded = problem.unfold()
            assert best_value(unfolded) == pytest.approx(float(memory), abs=1e-12)
            assert best_markov_value(unfolded, 3) == pytest.approx(float(markov), abs=1e-12)


TO_GO = {
    (0, 0): (-0.1648, 0.1552, 0.3392, -0.1648, -0.1648),
    (1, 0): (-0.1104, 0.1056, 0.2256, -0.1104, -0.1104),
    (1, 1): (-0.0288, -0.0288, 0.1232, -0.0368, -0.0288),
    (1, 2): (-0.0256, 0.1184, -0.0256, -0.0256, -0.0416),
    (2, 3): (-0.008, -0.008, -0.008, 0.016, 0.008),
}
MARGINAL = {(0, 0): (-0.2, 0.2, 0.4, -0.2, -0.2), (1, 0): (-0.12, 0.12, 0.24, -0.12, -0.12)}
VARIANCE = {
    "to_go": 16.9925376,
    "marginal": 5.9091456,
    "prefix": 28.4627456,
    "total": 44.7301376,
    "modular": 50.8744704,
}


def test_exact_gradients():
    """Values; gradients by differentiation, trajectories, differences."""
    problem, zero = coverage("E"), np.zeros((3, 4, 5))
    x = samples(problem, zero)
    assert len(x.probability) == 125 and uniform(problem) == pytest.approx(3.744, abs=1e-12)
    assert x.probability @ x.alone.sum(1) + 1 == pytest.approx(6.736, abs=1e-12)
    with jax.enable_x64(True):
        unfolded = problem.unfold()
        both = [jax.grad(lambda t, f=f: f(jax.nn.softmax(t), unfolded)) for f in (policy_value, myopic_value)]
        to_go, marginal = map(np.asarray, jax.jit(lambda t: [g(t) for g in both])(zero))
    for rows, gradient in ((TO_GO, to_go), (MARGINAL, marginal)):
        for at, row in rows.items():
            np.testing.assert_allclose(gradient[at], row, rtol=0, atol=1e-9)
    np.testing.assert_allclose(marginal[2], to_go[2], atol=1e-12)
    assert (to_go**2).sum() == pytest.approx(0.4666624, abs=1e-9)
    assert (marginal**2).sum() == pytest.approx(0.5868544, abs=1e-9)
    expected = {"to_go": to_go, "total": to_go, "marginal": marginal, "prefix": marginal}
    for credit, gradient in expected.items():
        np.testing.assert_allclose(mean(x, weights(credit, x)), gradient, rtol=0, atol=1e-12)
    modular = mean(x, weights("modular", x))[0, 0]
    np.testing.assert_allclose(modular, (-0.2352, 0.1568, 0.5488, -0.2352, -0.2352), atol=1e-9)
    for credit, trace in VARIANCE.items():
        assert variance(x, weights(credit, x)) == pytest.approx(trace, abs=1e-9)

    def value(logits):
        e = np.exp(logits)
        return policy_value(e / e.sum(-1, keepdims=True), unfolded)

    for at in ((0, 0, 2), (1, 1, 3), (2, 3, 4)):
        step = np.zeros_like(zero)
        step[at] = 1e-5
        assert (value(step) - value(-step)) / 2e-5 == pytest.approx(to_go[at], abs=1e-8)


@pytest.mark.parametrize(("length", "start"), [(3, 1.875), (4, 1.25)])
def test_trap(length, start):
    """Part 7.3: optimum and uniform policy; where ascent ends is theorem 6."""
    problem = trap(length, 10.0)
    assert best_value(problem.unfold()) == 10 and uniform(problem) == pytest.approx(start, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "credit", "value", "decoded"),
    [
        ("C", "to_go", 90.860, 91),
        ("C2", "to_go", 93.840, 94),
        ("C", "marginal", 84.705, 85),
        ("C2", "marginal", 88.022, 81),
        ("D2", "to_go", 114.66, 115),
    ],
)
def test_ascent_on_coverage(name, credit, value, decoded):
    """Gains to come reach the optimum where myopic credit does not."""
    found = climb(coverage(name), credit, 1500)
    np.testing.assert_allclose(found, (value, decoded), atol=6e-3 if name == "D2" else 6e-4)


@pytest.mark.slow
@pytest.mark.parametrize("length", [3, 4])
def test_myopic_ascent_stays_in_the_trap(length):
    value, decoded = climb(trap(length, 10.0), "marginal", 3000)
    assert value == pytest.approx(1, abs=0.01) and decoded == 1


@pytest.mark.parametrize(("eps", "most"), [(0.0, 10), (0.1, 9.25), (0.3, 8.05), (2 / 3, 62 / 9)])
def test_bandit(eps, most):
    """Part 7.7: uniform value and optimum; at eps 2/3 all policies are equal."""
    with jax.enable_x64(True):
        problem = bandit.three_places(eps)
        assert problem.table[:3, 3].tolist() == [6, 4, 4]
        assert float(bandit.extension(np.full((2, 3), 1 / 3), problem)) == pytest.approx(62 / 9, abs=1e-12)
        assert bandit.best(problem) == pytest.approx(most, abs=1e-12)


def test_continuous_greedy_on_the_half_problem():
    with jax.enable_x64(True):
        problem = bandit.half()
        assert bandit.best(problem) == 1.99
        assert float(bandit.extension(bandit.myopic(problem), problem)) == 1
        for iterations, value in ((100, 1.9702), (1000, 1.97911)):
            reached = float(bandit.extension(bandit.continuous_greedy(problem, iterations), problem))
            assert reached == pytest.approx(value, abs=6e-6)


def test_refuses_what_it_cannot_hold():
    problem = coverage("E")
    for call, sentence in (
        (lambda: unfold(problem.mdp, problem.memory, 1), "unfold.states: must be >= 2"),
        (lambda: covered(np.ones((2, 65), bool), np.ones(65)), "65 bits"),
        (lambda: visited(65, len), "65 bits"),
        (lambda: counted(20, 9, len), "80 bits"),
        (lambda: best_markov_value(problem.unfold(), 4, most=10), "more than 10"),
        (lambda: total_curvature(problem), "bonus"),
        (lambda: covered(np.ones((2, 3), bool), -np.ones(3)), "covered.weight: must be 3 numbers >= 0"),
        (lambda: covered(np.ones((2, 3), bool), np.ones(2)), "covered.weight: must be 3 numbers >= 0"),
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


def test_time_indexed_tables_are_read_by_step():
    """Transitions that change with the step, against the same ones by enumeration in the estimators."""
    problem = random_problem(3)
    P = np.random.default_rng(0).dirichlet(np.ones(3), (3, 3, 2))
    with jax.enable_x64(True):
        mdp = jax.tree.map(np.asarray, problem.mdp.replace(P=P, R=np.zeros((3, 3, 2))))
    changing = problem._replace(mdp=mdp)
    x = samples(changing, np.zeros((3, 3, 2)))
    alone = problem.memory.alone(3) + problem.bonus[0]
    first = np.asarray(mdp.mu0) @ alone
    assert uniform(changing) == pytest.approx(first + x.probability @ x.gain.sum(1), abs=1e-12)


def test_grid_tables_are_exact():
    """Slips spread over all five moves, the chosen one included."""
    P = np.asarray(grid(2, 2, 0, 0.1).P)
    assert P.dtype == np.float64
    np.testing.assert_allclose(P[0, 1], [0.06, 0.92, 0.02, 0], atol=1e-15)
    assert set(COVERAGE) == {*COVERAGE_TABLE, "E"}
