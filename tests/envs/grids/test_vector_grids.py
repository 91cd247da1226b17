"""Vector-reward toys equal mo-gymnasium by state injection; their fronts equal dynamic programming."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.envs.grids.deep_sea import DeepSeaTreasure, TreasureState
from jaxrl.envs.grids.resource_gathering import GatheringState, ResourceGathering


@pytest.fixture(scope="module")
def mo_gymnasium():
    return pytest.importorskip("mo_gymnasium")


@pytest.mark.parametrize(
    ("values", "gym_id"), [("convex", "deep-sea-treasure-v0"), ("concave", "deep-sea-treasure-concave-v0")]
)
def test_treasure_equals_mo_gymnasium(mo_gymnasium, values, gym_id):
    env, spec = DeepSeaTreasure(values), mo_gymnasium.make(gym_id)
    host = spec.unwrapped
    host.reset()
    params = env.default_params()
    assert int(env.time_limit(params)) == spec.spec.max_episode_steps
    cells = [(r, c) for r in range(11) for c in range(11) if host._get_map_value((r, c)) == 0]
    assert len(cells) == 62
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


@pytest.mark.parametrize("gamma", [1.0, 0.99])
@pytest.mark.parametrize("values", ["convex", "concave"])
def test_front_is_what_the_tables_can_reach(values, gamma):
    env = DeepSeaTreasure(values)
    with jax.enable_x64(True):
        mdp = jax.jit(env.to_tabular)(env.default_params())
    points = reachable_points(mdp, gamma, 0)
    best = {}
    for treasure, time in points:
        # the same treasure by its shortest path
        key = round(treasure / gamma ** (_steps(time, gamma) - 1), 6)
        best[key] = max(best.get(key, (-np.inf, -np.inf)), (time, treasure))
    front = sorted((treasure, time) for time, treasure in best.values())
    np.testing.assert_allclose(sorted(map(tuple, env.front(gamma))), front, atol=1e-9)


def _steps(time, gamma):
    return round(-time) if gamma == 1 else round(np.log(1 + time * (1 - gamma)) / np.log(gamma))


def test_gathering_equals_mo_gymnasium(mo_gymnasium):
    env, spec = ResourceGathering(), mo_gymnasium.make("resource-gathering-v0")
    host = spec.unwrapped
    host.reset(seed=0)
    params = env.default_params()
    assert int(env.time_limit(params)) == spec.spec.max_episode_steps
    rows = [
        ((r, c, gold, gem), a, u)
        for r in range(5) for c in range(5) for gold in (0, 1) for gem in (0, 1) for a in range(4)
        for u in (0.05, 0.5)
    ]  # fmt: skip
    states = GatheringState(*np.array([row[0] for row in rows], np.int32).T)
    actions, draws = (np.array([row[i] for row in rows], d) for i, d in ((1, np.int32), (2, np.float32)))
    _, out = jax.tree.map(
        np.asarray, jax.jit(jax.vmap(env.step_u, (0, 0, 0, None)))(states, actions, draws, params)
    )
    for i, ((r, c, gold, gem), action, u) in enumerate(rows):
        host.current_pos, host.has_gold, host.has_gem = np.array([r, c], np.int32), gold, gem
        host._np_random = type("Fixed", (), {"random": staticmethod(lambda u=u: u)})()
        obs, reward, terminated, _, _ = host.step(action)
        assert out.obs[i].tolist() == np.asarray(obs).tolist()
        np.testing.assert_array_equal(out.reward[i], reward)
        assert out.terminated[i] == terminated


def test_gathering_published_vertices():
    """gamma = 0.99: gold alone, the gem alone, and both without meeting an enemy."""
    env = ResourceGathering()
    with jax.enable_x64(True):
        mdp = jax.tree.map(np.asarray, jax.jit(env.to_tabular)(env.default_params()))
    start = int(mdp.mu0.argmax())
    vertices = set()
    for w in ([1, 0, 1], [1, 1, 0], [1, 1, 1]):
        value = np.zeros(101)
        for _ in range(300):
            q = mdp.R @ np.array(w) + 0.99 * mdp.P @ value
            value = q.max(1)
        policy = q.argmax(1)
        P, R = mdp.P[np.arange(101), policy], mdp.R[np.arange(101), policy]
        vertices.add(tuple(np.round(np.linalg.solve(np.eye(101) - 0.99 * P, R)[start], 8)))
    assert vertices == {(0, 0, 0.91351725), (0, 0.89533825, 0), (0, 0.84294319, 0.84294319)}


def test_pictures():
    env = DeepSeaTreasure()
    picture = np.asarray(env.render(TreasureState(jnp.int32(0), jnp.int32(2)), env.default_params()))[
        ::16, ::16
    ]
    assert picture.shape == (11, 11, 3)
    assert picture[0, 2].tolist() == [200, 50, 50] and picture[1, 0].tolist() == [240, 170, 30]
    assert picture[10, 0].tolist() == [70, 75, 85] and picture[0, 10].tolist() == [170, 205, 235]
    env = ResourceGathering()
    state, _ = env.reset(jax.random.key(0), env.default_params())
    picture = np.asarray(env.render(state, env.default_params()))[::16, ::16]
    assert picture[4, 2].tolist() == [200, 50, 50] and picture[1, 2].tolist() == [210, 60, 60]
