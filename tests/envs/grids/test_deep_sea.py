"""Deep Sea Treasure against MO-Gymnasium by state injection, its front against dynamic programming."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure, TreasureState


@pytest.fixture(scope="module")
def mo_gymnasium():
    return pytest.importorskip("mo_gymnasium")


def reachable_points(mdp, gamma, start):
    """All discounted vector returns of shortest paths, by breadth-first search over the tables."""
    P, R, end = (np.asarray(x) for x in (mdp.P, mdp.R, mdp.terminal))
    frontier, seen, points = [(start, np.zeros(2), 1.0)], {start}, []
    while frontier:
        state, total, discount = frontier.pop(0)
        for a in range(P.shape[1]):
            after, here = int(P[state, a].argmax()), total + discount * R[state, a]
            if end[after]:
                points.append(here)
            elif after not in seen:
                seen.add(after)
                frontier.append((after, here, discount * gamma))
    return points


def _steps(time, gamma):
    return round(-time) if gamma == 1 else round(np.log(1 + time * (1 - gamma)) / np.log(gamma))


@pytest.mark.parametrize(
    ("values", "gym_id", "water"),
    [
        ("convex", "deep-sea-treasure-v0", 62),
        ("concave", "deep-sea-treasure-concave-v0", 62),
        ("mirrored", "deep-sea-treasure-mirrored-v0", 112),
    ],
)
def test_treasure_equals_mo_gymnasium(mo_gymnasium, values, gym_id, water):
    env, spec = DeepSeaTreasure(values), mo_gymnasium.make(gym_id)
    host = spec.unwrapped
    params = env.default_params()
    assert host.reset()[0].tolist() == env.reset(jax.random.key(0), params)[1].tolist()
    assert int(env.time_limit(params)) == spec.spec.max_episode_steps
    cells = list(zip(*np.nonzero(host.sea_map == 0), strict=True))
    assert len(cells) == water
    rows = [(cell, action) for cell in cells for action in range(4)]
    states = TreasureState(*np.array([cell for cell, _ in rows], np.int32).T)
    actions = np.array([action for _, action in rows], np.int32)
    step = jax.jit(jax.vmap(env.step, (None, 0, 0, None)))
    _, out = jax.tree.map(np.asarray, step(jax.random.key(0), states, actions, params))
    for i, (cell, action) in enumerate(rows):
        host.current_state = np.array(cell, np.int32)
        obs, reward, terminated, _, _ = host.step(action)
        assert out.obs[i].tolist() == np.asarray(obs).tolist()
        np.testing.assert_array_equal(out.reward[i], reward)
        assert out.terminated[i] == terminated
    np.testing.assert_allclose(env.front(1.0), [tuple(p) for p in host.pareto_front(1.0)])
    np.testing.assert_allclose(env.front(0.99), [tuple(p) for p in host.pareto_front(0.99)])


def test_float_state_is_a_tenth():
    env = DeepSeaTreasure(float_state=True)
    _, obs = env.reset(jax.random.key(0), env.default_params())
    _, out = env.step(
        jax.random.key(0), TreasureState(jnp.int32(3), jnp.int32(7)), jnp.int32(3), env.default_params()
    )
    assert obs.tolist() == [0, 0]
    np.testing.assert_allclose(out.obs, [0.3, 0.8], rtol=1e-6)


@pytest.mark.parametrize("gamma", [1.0, 0.99])
@pytest.mark.parametrize("values", ["convex", "concave", "mirrored"])
def test_front_is_what_the_tables_can_reach(values, gamma):
    env = DeepSeaTreasure(values)
    with jax.enable_x64(True):
        mdp = jax.jit(env.to_tabular)(env.default_params())
    points = reachable_points(mdp, gamma, int(np.asarray(mdp.mu0).argmax()))
    best = {}
    for treasure, time in points:
        # the same treasure by its shortest path
        key = round(treasure / gamma ** (_steps(time, gamma) - 1), 6)
        best[key] = max(best.get(key, (-np.inf, -np.inf)), (time, treasure))
    front = sorted((treasure, time) for time, treasure in best.values())
    np.testing.assert_allclose(sorted(map(tuple, env.front(gamma))), front, atol=1e-9)


def test_picture_of_the_sea():
    env = DeepSeaTreasure()
    picture = np.asarray(env.render(TreasureState(jnp.int32(0), jnp.int32(2)), env.default_params()))[
        ::16, ::16
    ]
    assert picture.shape == (11, 11, 3)
    assert picture[0, 2].tolist() == [200, 50, 50] and picture[1, 0].tolist() == [240, 170, 30]
    assert picture[10, 0].tolist() == [70, 75, 85] and picture[0, 10].tolist() == [170, 205, 235]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DeepSeaTreasure("flat"), r"DeepSeaTreasure\.values: must be one of .* got 'flat'"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
