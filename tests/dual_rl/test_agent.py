"""What all forms share: steps of the optimiser, soft updates, weighted cloning, the actor's learning rate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.dual_rl import agent
from jaxrl.dual_rl.agent import Agent, Config, actor_rate, soft_update
from jaxrl.dual_rl.data import Batch
from tests.dual_rl.dual_tables import KEYS, OBS, quick


def parts(optimiser):
    return agent.parts(Config(widths=()), OBS, KEYS, optimiser, None)


def test_targets_move_by_tau_and_only_networks_with_a_target_have_one():
    found = soft_update(Agent({"q": jnp.ones(2), "v": jnp.ones(1)}, {"q": jnp.zeros(2)}, {}), 0.25)
    np.testing.assert_allclose(found.target["q"], [0.25, 0.25], rtol=1e-6)
    assert set(found.target) == {"q"}


def test_a_step_goes_against_the_gradient():
    before = Agent({"v": jnp.array([1.0, 2.0])}, {}, {"v": optax.identity().init(None)})
    after = parts(optax.identity()).descend(before, "v", 0.5, jnp.array([2.0, -2.0]))
    np.testing.assert_allclose(after.params["v"], [0.0, 3.0])


@pytest.mark.parametrize(("decay", "updates", "wanted"), [(0, 500, 2.0), (100, 50, 1.0), (100, 200, 0.0)])
def test_the_learning_rate_of_the_actor_falls_along_a_cosine(decay, updates, wanted):
    assert float(actor_rate(2.0, decay, updates)) == pytest.approx(wanted, abs=1e-6)


def test_cloning_follows_the_weighted_likelihood():
    """From uniform logits the gradient is sum_i w_i (pi - e_i) x_i, by hand."""
    made = parts(optax.identity())
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    action, weight = np.array([0, 2, 1, 0]), np.array([1.0, 0.0, 3.0, 2.0], np.float32)
    rows = np.full(4, 0.25, np.float32)
    batch = Batch(x, action, rows, x, rows, rows)

    @quick
    def step(batch, weight):
        actor = jax.tree.map(jnp.zeros_like, made.nets.actor.init(jax.random.key(0)))
        start = Agent({"actor": actor}, {}, {"actor": optax.identity().init(actor)})
        return made.clone(start, batch, weight, 1.0, 3.0)

    after, metrics = step(batch, weight)
    wanted = -np.einsum("n,nk,na->ka", weight / 4, x, 1 / 3 - np.eye(3)[action])
    np.testing.assert_allclose(after.params["actor"]["Dense_0"]["kernel"], wanted, atol=1e-6)
    assert float(metrics["log_prob"]) == pytest.approx(-np.log(3), rel=1e-5)
    assert float(metrics["at_cap"]) == 0.25
    assert float(metrics["ess"]) == pytest.approx(36 / (4 * 14), rel=1e-5)


def test_configurations_say_what_is_wrong():
    assert Config(widths=[8, 8]).widths == (8, 8)
    with pytest.raises(UsageError, match=r"Config\.activation: must be one of 'tanh', 'relu'"):
        Config(activation="sinus")
