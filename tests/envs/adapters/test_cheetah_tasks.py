"""Rewards of the cheetah tasks: by hand, and on recorded transitions of the body."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.data.collect import collect, uniform
from jaxrl.data.relabel import relabel
from jaxrl.envs.adapters.cheetah_tasks import TASKS, paid
from jaxrl.envs.wrappers.with_reward import with_reward


@pytest.mark.parametrize(
    ("velocity", "pitch_rate", "rewards"),
    [
        (4.0, -2.0, (0.4, 0.0, 0.0, 0.4)),
        (-20.0, 1.0, (0.0, 1.0, 0.2, 0.0)),
        (11.0, 6.0, (1.0, 0.0, 1.0, 0.0)),
    ],
)
def test_rewards_by_hand(velocity, pitch_rate, rewards):
    obs = jnp.zeros(17).at[8].set(velocity).at[10].set(pitch_rate)
    found = [float(TASKS[name](0 * obs, None, obs)) for name in ("run", "run_back", "flip", "flip_back")]
    assert found == pytest.approx(rewards, abs=1e-6)


@pytest.mark.slow
def test_relabelled_rewards_equal_those_recorded_online():
    """The rewards of the body's own velocities, `qd[0]` and `qd[2]`, at every recorded step."""
    pytest.importorskip("brax")
    env = paid("flip")

    def flip(params, state, action, after):
        return jnp.clip(after.qd[2] / 5, 0, 1)

    independent = with_reward(env.env, flip, None)
    data, expected = (
        collect(one, uniform(one), jax.random.key(0), one.default_params(), episodes=2, limit=100)
        for one in (env, independent)
    )
    np.testing.assert_allclose(data.reward, expected.reward, rtol=0, atol=1e-6)
    again = relabel(data, TASKS["flip"])
    np.testing.assert_allclose(again.reward, data.reward, rtol=0, atol=1e-6)
    assert 0.01 < float(data.reward.mean()) < 0.9


def test_an_unknown_task_is_refused():
    with pytest.raises(UsageError, match="task: 'flap' does not exist; did you mean 'flip'"):
        paid("flap")
