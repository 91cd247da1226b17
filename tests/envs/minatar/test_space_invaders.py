"""SpaceInvaders by traces of MinAtar 1.0.15, and against MinAtar itself where it is installed."""

import jax
import numpy as np
import pytest

from jaxrl.envs.minatar.space_invaders import SpaceInvaders
from tests.envs.minatar.playing import assert_equal_to, play

ENV = SpaceInvaders()


def start():
    return ENV.reset(jax.random.key(0), ENV.default_params())


def test_the_first_observation_has_24_aliens_that_move_left():
    obs = np.asarray(start()[1])
    assert obs.shape == (10, 10, 6) and obs.sum() == 49
    assert obs[..., 1].sum() == obs[..., 2].sum() == 24 and obs[9, 5, 0] == 1
    assert ENV.time_limit(ENV.default_params()) == 1000


@pytest.mark.parametrize(
    ("actions", "end", "rewards"),
    [
        ([(7 * t + 3) % 4 for t in range(28)], 27, [5, 13, 22]),
        ([(3, 3, 2, 1, 3, 0, 3, 1)[t % 8] for t in range(28)], 26, [5, 12, 18, 22]),
    ],
)
def test_traces_of_minatar(actions, end, rewards):
    reward, terminated, _, _ = play(ENV, start()[0], actions)
    assert np.flatnonzero(reward[: end + 1]).tolist() == rewards and reward[rewards].sum() == len(rewards)
    assert np.flatnonzero(terminated)[0] == end


def test_a_cleared_wave_is_followed_by_a_faster_one():
    state, _ = start()
    one = state.aliens & False
    state = state._replace(aliens=one.at[5, 5].set(True), friendly=one.at[6, 5].set(True))
    reward, terminated, _, after = play(ENV, state, [0])
    assert reward.tolist() == [1] and not terminated[0]
    assert after.aliens[0].sum() == 24 and after.interval[0] == 11 and after.direction[0] == -1


@pytest.mark.peers
def test_steps_equal_those_of_minatar(minatar):
    assert_equal_to(minatar("space_invaders", 10_000), ENV, lambda row: start()[0], lambda state, row: None)
