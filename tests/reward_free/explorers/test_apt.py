"""APT: distances to the nearest states against numpy, the representation, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free.explorers import apt

HYPER = apt.Hyper(lr_module=0.03)
B, K, D = 7, 2, 1
PARTS = apt.intrinsic(apt.Config(module_widths=(6,), units=5, neighbours=3), K, D)
RNG = np.random.default_rng(0)
OBS, ACTION = RNG.normal(size=(B, K)).astype(np.float32), RNG.uniform(-1, 1, (B, D)).astype(np.float32)


@pytest.fixture(scope="module")
def learned():
    """The first state, and that after 300 steps on successors obs + action, with its rewards."""
    successors = OBS + ACTION

    @jax.jit
    def run(state):
        step = lambda _, s: PARTS.update(s, HYPER, jax.random.key(0), OBS, ACTION, successors, ACTION)  # noqa: E731
        after = jax.lax.fori_loop(0, 300, step, state)
        return after, PARTS.reward(after, HYPER, OBS, ACTION, successors)

    first = jax.jit(PARTS.init)(jax.random.key(1))
    return first, *run(first)


def numpy_representation(state, obs):
    trunk = state.params["trunk"]["Dense_0"]
    x = np.asarray(obs, np.float64) @ np.asarray(trunk["kernel"]) + np.asarray(trunk["bias"])
    return np.tanh((x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5))


def numpy_reward(x, neighbours):
    """Row by row: the nearest states of the batch, the row itself among them."""
    distances = np.linalg.norm(x[:, None] - x[None], axis=-1)
    return np.log(1 + np.sort(distances, axis=1)[:, :neighbours].mean(1))


def test_particle_entropy_of_given_states():
    """Far from the origin, where squares cancel; the distances are of order 1."""
    x = (RNG.normal(size=(40, 6)) + 50).astype(np.float32)
    np.testing.assert_allclose(apt.particle_entropy(x, 12), numpy_reward(x.astype(np.float64), 12), rtol=1e-4)


def test_the_nearest_state_is_the_state_itself():
    np.testing.assert_array_equal(apt.particle_entropy(jnp.asarray(OBS), 1), np.zeros(B))


def test_reward_of_the_module(learned):
    _, after, reward = learned
    np.testing.assert_allclose(reward, numpy_reward(numpy_representation(after, OBS), 3), rtol=1e-3)


def test_the_inverse_head_learns_the_action(learned):
    """The trunk moves with the heads, and the action can be told from the two representations."""
    first, after, _ = learned

    def error(state):
        x, y = numpy_representation(state, OBS), numpy_representation(state, OBS + ACTION)
        layers = [jax.tree.map(np.asarray, state.params["inverse"][f"Dense_{j}"]) for j in (0, 1)]
        hidden = np.maximum(np.concatenate([x, y], 1) @ layers[0]["kernel"] + layers[0]["bias"], 0)
        return np.abs(np.tanh(hidden @ layers[1]["kernel"] + layers[1]["bias"]) - ACTION).mean()

    assert error(after) < 0.2 * error(first)
    kernel = lambda state: state.params["trunk"]["Dense_0"]["kernel"]  # noqa: E731
    assert bool(jnp.any(kernel(after) != kernel(first)))


def test_more_neighbours_than_rows_are_refused():
    message = r"Config\.neighbours: must be at most the batch_size 8, got 12"
    with pytest.raises(UsageError, match=message):
        apt.Config(batch_size=8)
