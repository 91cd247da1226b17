"""Resource gathering against MO-Gymnasium by state injection, and its published vertices."""

import jax
import numpy as np
import pytest

from jaxrl.envs.grids.resource_gathering import GatheringState, ResourceGathering


@pytest.fixture(scope="module")
def mo_gymnasium():
    return pytest.importorskip("mo_gymnasium")


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


def test_picture_of_the_resources():
    env = ResourceGathering()
    state, _ = env.reset(jax.random.key(0), env.default_params())
    picture = np.asarray(env.render(state, env.default_params()))[::16, ::16]
    assert picture[4, 2].tolist() == [200, 50, 50] and picture[1, 2].tolist() == [210, 60, 60]
