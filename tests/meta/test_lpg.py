"""The learner for targets against a printed update, its invariances, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Transition
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.grids.gridworld import GridWorld
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.meta import evolution, lpg, targets
from jaxrl.meta.objective import MASKS, Objective
from tests.meta.test_targets import filled, small

RULE = small()
PARTS = lpg.learner(lpg.Config(n_envs=2, length=3, predictions=2), Tabular(3, 2), RULE)
HYPER = lpg.Hyper(phi=filled(RULE), mask=MASKS["none"])
UPDATE = jax.jit(PARTS.update, static_argnames="through_inputs")


def by_time(*workers, dtype=jnp.int32):
    return jnp.asarray(workers, dtype).T


BATCH = Transition(
    obs=by_time((0, 1, 2), (2, 2, 0)),
    action=by_time((0, 1, 1), (1, 0, 0)),
    reward=by_time((1, 0, -1), (0.5, 0, 2), dtype=jnp.float32),
    next_obs=by_time((1, 2, 0), (2, 0, 1)),
    terminated=by_time((0, 0, 1), (0, 0, 0), dtype=bool),
    truncated=jnp.zeros((3, 2), bool),
    aux={"raw": by_time((0, 1, 1), (1, 0, 0))},
    info={},
)


def start():
    e = np.arange(6)
    params = {
        "policy": {"kernel": jnp.asarray(0.4 * np.sin(1.3 * (e + 1)), jnp.float32).reshape(3, 2)},
        "prediction": {"kernel": jnp.asarray(0.6 * np.cos(0.9 * (e + 1)), jnp.float32).reshape(3, 2)},
    }
    return params, {name: PARTS.optimiser.init(p) for name, p in params.items()}


def updated(batch=BATCH, hyper=HYPER, through_inputs=True):
    return UPDATE(*start(), batch, hyper, jnp.zeros((), jnp.int32), through_inputs=through_inputs)


@pytest.mark.parametrize("through_inputs", [True, False])
def test_update_is_the_printed_one(through_inputs):
    params, _, metrics = updated(through_inputs=through_inputs)
    theta = ((-0.124991, 0.716615), (-0.265649, -0.362839), (0.009519, 0.475947))
    psi = ((0.257826, -0.021181), (-0.562096, -0.518402), (-0.066743, 0.321081))
    np.testing.assert_allclose(params["policy"]["kernel"], theta, rtol=0, atol=2e-6)
    np.testing.assert_allclose(params["prediction"]["kernel"], psi, rtol=0, atol=2e-6)
    expected = {
        "kl": 0.027092,
        "weight_square": 0.0075475,
        "target_square": 0.507275,
        "policy_grad_norm": 0.018251,
        "prediction_grad_norm": 0.046384,
    }
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=0, atol=2e-6, err_msg=name)


def test_order_of_the_workers_does_not_matter():
    one, _, _ = updated()
    other, _, _ = updated(jax.tree.map(lambda x: x[:, ::-1], BATCH))
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-6)


def test_gradients_of_policy_and_predictions_are_shrunk_each_by_itself():
    before, _ = start()
    free, _, _ = updated()
    after, _, _ = updated(hyper=HYPER.replace(max_grad_norm=0.03))  # between the two norms

    def moved(params, name):
        return params[name]["kernel"] - before[name]["kernel"]

    np.testing.assert_allclose(moved(after, "policy"), moved(free, "policy"), rtol=1e-4, atol=1e-6)
    shorter = moved(free, "prediction") * 0.03 / 0.046384
    np.testing.assert_allclose(moved(after, "prediction"), shorter, rtol=1e-4, atol=1e-6)


def test_weighted_log_prob_and_prediction_kl_have_their_closed_forms():
    np.testing.assert_allclose(
        lpg.weighted_log_prob(jnp.full((1, 1), -2.0), jnp.zeros((1, 1))), -2 * np.log(1e-8)
    )
    y, yhat = jnp.asarray([[[0.5, 0.5, 0.0]]]), jnp.asarray([[[0.25, 0.25, 0.5]]])
    np.testing.assert_allclose(lpg.prediction_kl(y, yhat), [[np.log(2)]], rtol=1e-5)


def test_a_time_limit_hides_the_successor_as_released_or_shows_it():
    params, _ = start()
    cut = BATCH._replace(truncated=jnp.zeros((3, 2), bool).at[1, 1].set(True))
    windows = {}
    for bootstrap in (False, True):
        config = lpg.Config(predictions=2, bootstrap_truncated=bootstrap)
        parts = lpg.learner(config, Tabular(3, 2), RULE)
        windows[bootstrap] = parts.window(params, parts.outputs(params, cut.obs), cut, 0.99)
        np.testing.assert_array_equal(windows[bootstrap].cut, cut.done)
    np.testing.assert_array_equal(windows[False].done, cut.done)
    np.testing.assert_array_equal(windows[True].done, cut.terminated)


def test_vector_rewards_continuous_actions_and_other_slots_are_refused():
    config = lpg.Config(predictions=2)
    with pytest.raises(UsageError, match="has 2 rewards; scalarise it"):
        lpg.make(config, DeepSeaTreasure(), RULE)
    with pytest.raises(UsageError, match="has continuous actions; discretise them"):
        lpg.make(config, Pendulum(), RULE)
    drift = Objective(lambda key: (), lambda *_: 0.0, "drift", name="PPO")
    with pytest.raises(UsageError, match='PPO stands in the slot "drift"; give one of "targets"'):
        lpg.make(config, Tabular(3, 2), drift)


def test_predictions_of_another_length_and_foreign_parameters_are_refused():
    with pytest.raises(UsageError, match="LPG reads 2 numbers, the learner predicts 3"):
        lpg.make(lpg.Config(predictions=3), Tabular(3, 2), RULE)
    algorithm = lpg.make(lpg.Config(predictions=2), Tabular(3, 2), RULE)
    with pytest.raises(UsageError, match=r"Hyper\.phi: is not what `init` of LPG gives"):
        algorithm.check_hyper(HYPER.replace(phi=(0.0,)), None)
    with pytest.raises(UsageError, match="give one factor for each of"):
        algorithm.check_hyper(HYPER.replace(mask=(0.0,)), None)
    with pytest.raises(UsageError, match=r"Hyper\.updates_total: a lifetime has at least 1 update, got 0\.5"):
        algorithm.check_hyper(HYPER.replace(updates_total=0.5), None)
    algorithm.check_hyper(HYPER, None)


def test_evolution_searches_the_numbers_of_a_rule_over_lifetimes():
    """Traced only: a generation moves one number per time input and one more, and gives a fitness."""
    rule, config = targets.reinforce(inputs=("n/N", "ln N")), lpg.Config(n_envs=2, length=4, predictions=2)
    levels = observe_time(GridWorld(LEVELS["debug"], index=True), scale=0.001)
    problem = lpg.search(config, levels, rule, lpg.Hyper(), (1, 3), episodes=2, aware=True)
    algorithm = evolution.make(evolution.Config(pairs=2, selection=0), problem)
    hyper = evolution.Hyper(mask=MASKS["paper"])
    algorithm.check_hyper(hyper, ())
    with pytest.raises(UsageError, match="no time input is live"):
        algorithm.check_hyper(hyper.replace(mask=MASKS["none"]), ())
    state = jax.eval_shape(lambda key: algorithm.init(key, hyper, ()), jax.random.key(0))
    after, metrics = jax.eval_shape(lambda state: algorithm.step(state, hyper, ()), state)
    assert state.params.shape == after.params.shape == (3,)
    assert metrics["fitness"].total.shape == ()


def test_default_rule_is_lpg_of_the_released_sizes():
    algorithm = lpg.make(lpg.Config(), Tabular(3, 2))
    shapes = jax.eval_shape(targets.lpg().init, jax.random.key(0))
    algorithm.check_hyper(lpg.Hyper(phi=jax.tree.map(lambda s: np.zeros(s.shape), shapes)), None)
    with pytest.raises(UsageError, match=r"Hyper\.phi"):
        algorithm.check_hyper(lpg.Hyper(), None)
