"""The vehicle: motion against a loop, shelves and walls, the goal, starts, and pictures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.control.agv import Agv, AgvState, blocked

ENV = Agv(2)
PARAMS = ENV.default_params()
STEP = jax.jit(ENV.step)
BLOCKED = jax.jit(jax.vmap(blocked, (0, None)))
GOAL_COLOUR, SHELF_COLOUR, NOSE_COLOUR = (40, 160, 80), (110, 85, 60), (70, 75, 85)


def at(x, y, heading=0.0):
    return AgvState(jnp.array([x, y]), jnp.asarray(heading))


def overlaps(x, y):
    """Whether some point of the disc's rim, or its centre, lies in a shelf or outside of the hall."""
    angle = np.linspace(0, 2 * np.pi, 400)
    radius = 0.2999
    px, py = np.append(x + radius * np.cos(angle), x), np.append(y + radius * np.sin(angle), y)
    inside = np.zeros(len(px), bool)
    for cx, cy, width, depth in np.asarray(PARAMS.shelves):
        inside |= (np.abs(px - cx) < width) & (np.abs(py - cy) < depth)
    return bool((inside | (np.minimum(px, py) < 0) | (np.maximum(px, py) > 10)).any())


def test_motion_is_that_of_a_loop_in_numpy():
    """In the free lower left corner, forwards and backwards; actions beyond +-1 are clipped."""
    actions = np.random.default_rng(0).uniform(-1.5, 1.5, (30, 2)).astype(np.float32)
    state, x, y, heading = at(1.5, 1.5, 0.3), 1.5, 1.5, 0.3
    for drive, steer in actions:
        state, out = STEP(None, state, jnp.array([drive, steer]), PARAMS)
        heading += 0.5 * np.clip(steer, -1, 1)
        move = 0.5 * np.clip(drive, -1, 1)
        moved = x + move * np.cos(heading), y + move * np.sin(heading)
        if not overlaps(*moved):
            x, y = moved
        expected = (x / 5 - 1, y / 5 - 1, np.cos(heading), np.sin(heading))
        np.testing.assert_allclose(out.obs, expected, atol=2e-5)
        assert -np.pi <= float(state.heading) < np.pi
        assert float(out.reward) == 0 and not bool(out.terminated)


def test_what_blocks_is_what_overlaps_the_disc():
    """At random places; rounded corners of the forbidden area, not square ones."""
    places = np.random.default_rng(1).uniform(-0.5, 10.5, (400, 2)).astype(np.float32)
    found = np.asarray(BLOCKED(jnp.asarray(places), PARAMS))
    assert found.tolist() == [overlaps(*place) for place in places]
    assert 0.2 < found.mean() < 0.8
    beside_the_corner = jnp.array([[7.22, 3.97], [7.2, 3.76]])  # of the lower shelf, at (7, 3.75)
    assert BLOCKED(beside_the_corner, PARAMS).tolist() == [False, True]


def test_a_shelf_stops_the_move_and_not_the_turn():
    state, _ = STEP(None, at(3.0, 2.9, np.pi / 2 - 0.1), jnp.array([1.0, 0.2]), PARAMS)
    np.testing.assert_allclose(state.position, (3.0, 2.9))
    np.testing.assert_allclose(state.heading, np.pi / 2, rtol=1e-5)


@pytest.mark.parametrize(("x", "arrived"), [(7.9, True), (7.7, False)])
def test_the_goal_pays_once_and_ends(x, arrived):
    """After half a metre to the right; 0.7 m from the goal at (9, 9) count."""
    _, out = STEP(None, at(x, 9.0), jnp.array([1.0, 0.0]), PARAMS)
    assert (float(out.reward), bool(out.terminated), float(out.info["goal"])) == (arrived, arrived, arrived)


def test_a_way_leads_through_both_gaps():
    """Waypoints steered for by a controller of three lines; so the task can be solved within its limit."""
    ways = iter(((8.5, 2.0), (8.5, 5.0), (1.5, 5.0), (1.5, 8.0), (9.0, 9.0)))
    state, way = at(1.0, 1.0), next(ways)
    for t in range(1, 201):
        if np.hypot(*(np.array(way) - state.position)) < 0.6 and way != (9.0, 9.0):
            way = next(ways)
        away = np.array(way) - np.asarray(state.position)
        wrong = (np.arctan2(away[1], away[0]) - float(state.heading) + np.pi) % (2 * np.pi) - np.pi
        action = jnp.array([float(abs(wrong) < 0.5), np.clip(2 * wrong, -1, 1)], jnp.float32)
        state, out = STEP(None, state, action, PARAMS)
        if bool(out.terminated):
            assert 40 < t < 120
            return
    raise AssertionError(f"the goal was not reached, the vehicle is at {state.position}")


def test_one_shelf_or_two_and_no_other_number():
    assert Agv().default_params().shelves.shape == (1, 4)
    with pytest.raises(UsageError, match=r"Agv\.shelves: must be one of 1, 2"):
        Agv(3)


def test_starts_are_free_places_near_the_corner_with_any_heading():
    state, _ = jax.vmap(ENV.reset, (0, None))(jax.random.split(jax.random.key(0), 1000), PARAMS)
    position, heading = np.asarray(state.position), np.asarray(state.heading)
    np.testing.assert_allclose((position.min(0), position.max(0)), ((0.7, 0.7), (1.3, 1.3)), atol=0.01)
    assert heading.min() < -3.1 and heading.max() > 3.1
    assert not np.asarray(BLOCKED(state.position, PARAMS)).any()


def test_the_picture_has_goal_shelf_and_nose_where_they_are():
    pixels = np.asarray(ENV.render(at(2.0, 1.0, np.pi), PARAMS))

    def colour(x, y):
        return tuple(pixels[119 - int(y * 12), int(x * 12)])

    assert colour(9, 9) == GOAL_COLOUR and colour(5, 3.5) == SHELF_COLOUR
    assert colour(1.7, 1.0) == NOSE_COLOUR and colour(2.3, 1.0) != NOSE_COLOUR
