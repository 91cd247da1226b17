"""Asterix against loops over objects written from its rules, and against MinAtar where it is installed."""

import jax
import numpy as np
import pytest

from jaxrl.envs.minatar.asterix import Asterix
from tests.envs.minatar.playing import assert_equal_to, play

ENV = Asterix()


def begin():
    return ENV.reset(jax.random.key(0), ENV.default_params())[0]


class Loops:
    """The game object by object: `objects[row] = [column, way, is gold]`."""

    def __init__(self):
        self.row = self.col = 5
        self.objects = {}
        self.spawn, self.move, self.ramp, self.ramps = [10, 10], [5, 5], 100, 0  # [period, timer]

    def meet(self, row):
        found = self.objects.get(row)
        if found is None or row != self.row or found[0] != self.col:
            return 0, False
        if found[2]:
            del self.objects[row]
        return int(found[2]), not found[2]

    def step(self, action, u):
        reward, ends = 0, False
        if self.spawn[1] == 0:
            empty = [row for row in range(1, 9) if row not in self.objects]
            if empty:
                left = u[0] < 0.5
                row = empty[int(u[2] * len(empty))]
                self.objects[row] = [0 if left else 9, 1 if left else -1, bool(u[1] < np.float32(1 / 3))]
            self.spawn[1] = self.spawn[0]
        down, right = [(0, 0), (0, -1), (-1, 0), (0, 1), (1, 0)][action]
        self.row, self.col = min(max(self.row + down, 1), 8), min(max(self.col + right, 0), 9)
        for row in range(1, 9):
            gain, met = self.meet(row)
            reward, ends = reward + gain, ends or met
        if self.move[1] == 0:
            self.move[1] = self.move[0]
            for row in list(self.objects):
                self.objects[row][0] += self.objects[row][1]
                if not 0 <= self.objects[row][0] <= 9:
                    del self.objects[row]
                gain, met = self.meet(row)
                reward, ends = reward + gain, ends or met
        self.spawn[1] -= 1
        self.move[1] -= 1
        if self.spawn[0] > 1 or self.move[0] > 1:
            if self.ramp >= 0:
                self.ramp -= 1
            else:
                if self.move[0] > 1 and self.ramps % 2:
                    self.move[0] -= 1
                if self.spawn[0] > 1:
                    self.spawn[0] -= 1
                self.ramps += 1
                self.ramp = 100
        return reward, ends

    def obs(self):
        obs = np.zeros((10, 10, 4))
        obs[self.row, self.col, 0] = 1
        for row, (col, way, gold) in self.objects.items():
            obs[row, col, 3 if gold else 1] = 1
            if 0 <= col - way <= 9:
                obs[row, col - way, 2] = 1
        return obs


def test_steps_equal_loops_over_objects():
    rng = np.random.default_rng(0)
    actions, u = rng.integers(5, size=1500), rng.random((1500, 3), np.float32)
    reward, ends, obs, state = play(ENV, begin(), actions, u)  # goes on after an end: all of the ramp is seen
    loops = Loops()
    for t in range(1500):
        assert loops.step(actions[t], u[t]) == (reward[t], ends[t])
        np.testing.assert_array_equal(obs[t], loops.obs())
    assert reward.sum() > 10 and ends.sum() > 10
    assert state.spawn[-1] == 1 and state.move[-1] == 1 and state.exists.sum(-1).max() == 8


def test_an_object_comes_in_step_eleven_and_moves_every_fifth_step():
    u = np.tile(np.float32([0.1, 0.9, 0.0]), (17, 1))
    _, _, obs, _ = play(ENV, begin(), [0] * 17, u)
    assert not obs[:10, ..., 1].any()
    assert [np.argwhere(obs[t, ..., 1]).tolist() for t in (10, 14, 15)] == [[[1, 1]], [[1, 1]], [[1, 2]]]
    assert np.argwhere(obs[10, ..., 2]).tolist() == [[1, 0]]  # the cell behind it


@pytest.mark.peers
def test_steps_equal_those_of_minatar(minatar):
    record = minatar("asterix", 10_000)
    assert_equal_to(record, ENV, lambda row: begin(), lambda state, row: row["draw"])
