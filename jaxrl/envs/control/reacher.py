"""Reacher: a planar arm of two links between four targets, with one reward component per target.

Legend: `q` joint angles float[2] in rad, `qd` their velocities in rad/s, `M` the mass matrix of the arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.spaces import Box, Discrete
from jaxrl.core.types import Array, Key, Step
from jaxrl.envs.base import Entry, integer, real

LINK, TIP = 0.1, 0.11  # lengths of a link, and of the second with the finger tip, m
_SUBSTEPS = 2  # of the integrator per action
# MuJoCo's soft limits of joints: time constant in s; impedance from 0.9 to 0.95 over 0.001 rad
_TIME, _NEAR, _FAR, _DEPTH = 0.02, 0.9, 0.95, 0.001

_PIXELS = 120
_PAPER, _TARGET, _ARM, _FINGER = (250, 250, 245), (40, 160, 80), (70, 75, 85), (200, 50, 50)


class ReacherParams(NamedTuple):
    """Parameters of `Reacher`.

    targets: float[4, 2], m; density: float[], kg/m3, and radius: float[], m, of links and finger tip; gear:
    float[], N m per unit of torque; damping: float[], N m s/rad; armature: float[], kg m2, of each motor;
    range: float[], largest angle of the elbow to both sides, rad; start: float[2], rad; spread: float[],
    largest velocity at the start, rad/s; dt: float[], s per substep; limit: int32[], steps.
    """

    targets: Array
    density: Array
    radius: Array
    gear: Array
    damping: Array
    armature: Array
    range: Array
    start: Array
    spread: Array
    dt: Array
    limit: Array


class ReacherState(NamedTuple):
    """State of the arm.

    q: float[2], rad, q[0] without bounds; qd: float[2], rad/s.
    """

    q: Array
    qd: Array


class _Arm(NamedTuple):
    """Constants of the equations of motion, float[].

    shoulder, elbow: inertia about the joints, the first with the arm bent by 90 degrees; lever: 0.1 m2 c2.
    """

    shoulder: Array
    elbow: Array
    lever: Array


@dataclass(frozen=True)
class Reacher:
    """An arm between four targets: the equations of motion of mo-gymnasium's mo-reacher-v5.

    Observation: float[6], cos q, sin q, qd / 10. Action: 9 torques, `(a // 3 - 1, a % 3 - 1)` of shoulder and
    elbow. Reward: float[4], 1 - 4 times the distance of the finger tip from each target before the step.
    Termination: never. Time limit: 50. Start: q = (0, 3.1415 / 2), velocities uniform in +-0.005.
    """

    name: str = "Reacher"
    reward_dim: int = 4

    @property
    def observation_space(self) -> Box:
        """Directions of the joints, and a tenth of their velocities."""
        return Box((*(-1.0,) * 4, *(-np.inf,) * 2), (*(1.0,) * 4, *(np.inf,) * 2), (6,))

    @property
    def action_space(self) -> Discrete:
        """Torques of shoulder and elbow, each -1, 0 or 1."""
        return Discrete(9)

    def default_params(self) -> ReacherParams:
        """The released arm and targets."""
        return ReacherParams(
            targets=jnp.asarray(np.array([(0.14, 0.0), (-0.14, 0.0), (0.0, 0.14), (0.0, -0.14)])),
            density=real(1000.0),
            radius=real(0.01),
            gear=real(200.0),
            damping=real(1.0),
            armature=real(1.0),
            range=real(3.0),
            start=jnp.asarray(np.array([0.0, 3.1415 / 2])),
            spread=real(0.005),
            dt=real(0.01),
            limit=integer(50),
        )

    def time_limit(self, params: ReacherParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.limit

    def reset(self, key: Key, params: ReacherParams) -> tuple[ReacherState, Array]:
        """The arm bent, almost at rest."""
        qd = params.spread * jax.random.uniform(key, (2,), params.dt.dtype, -1, 1)
        state = ReacherState(params.start, qd)
        return state, _obs(state)

    def step(
        self, key: Key, state: ReacherState, action: Array, params: ReacherParams
    ) -> tuple[ReacherState, Step]:
        """Two classical Runge-Kutta steps; `key` is not used."""
        arm = _arm(params)
        torque = params.gear * jnp.stack([action // 3 - 1, action % 3 - 1]).astype(params.gear.dtype)
        after = state
        for _ in range(_SUBSTEPS):
            after = _runge_kutta(arm, after, torque, params)
        return after, Step(_obs(after), self.reward(params, state, action, after), jnp.asarray(False), {})

    def reward(
        self, params: ReacherParams, state: ReacherState, action: Array, next_state: ReacherState
    ) -> Array:
        """float[4], of the state before the step, as in the package."""
        return 1 - 4 * jnp.linalg.norm(_tip(state.q)[None] - params.targets, axis=1)

    def render(self, state: ReacherState, params: ReacherParams) -> Array:
        """uint8[120, 120, 3], targets and arm within 0.25 m of the shoulder; x right, y up."""
        axis = ((np.arange(_PIXELS) + 0.5) / _PIXELS * 2 - 1) * 0.25
        point = jnp.asarray(np.stack(np.meshgrid(axis, axis[::-1]), -1))
        elbow, tip = LINK * jnp.stack([jnp.cos(state.q[0]), jnp.sin(state.q[0])]), _tip(state.q)
        targets = jnp.linalg.norm(point[:, :, None] - params.targets[None, None], axis=-1).min(-1) < 0.012
        links = (_from_segment(point, jnp.zeros(2), elbow) < 0.008) | (
            _from_segment(point, elbow, tip) < 0.008
        )
        finger = jnp.linalg.norm(point - tip[None, None], axis=-1) < 0.011
        kind = jnp.where(finger, 3, jnp.where(links, 2, jnp.where(targets, 1, 0)))
        return jnp.asarray((_PAPER, _TARGET, _ARM, _FINGER), jnp.uint8)[kind]


def _arm(params: ReacherParams) -> _Arm:
    """Capsules of length 0.1 m, and a ball as finger tip."""
    r, sphere = params.radius, 4 / 3 * np.pi * params.radius**3
    tube = np.pi * r**2 * LINK
    link, ball = params.density * (tube + sphere), params.density * sphere
    # a capsule about its centre: a cylinder, and two half balls at its ends
    inertia = params.density * tube * (LINK**2 / 12 + r**2 / 4) + ball * (
        0.4 * r**2 + LINK**2 / 4 + 3 / 8 * LINK * r
    )
    m2 = link + ball
    c2 = (LINK / 2 * link + TIP * ball) / m2
    I2 = inertia + link * (c2 - LINK / 2) ** 2 + 0.4 * ball * r**2 + ball * (TIP - c2) ** 2
    elbow = I2 + m2 * c2**2
    return _Arm(inertia + (LINK / 2) ** 2 * link + LINK**2 * m2 + elbow, elbow, LINK * m2 * c2)


def _acceleration(arm: _Arm, q: Array, qd: Array, torque: Array, params: ReacherParams) -> Array:
    """float[2], rad/s2, with the force of the elbow's limit."""
    a, b, c = _mass_matrix(arm, jnp.cos(q[1]), params)
    bend = arm.lever * jnp.sin(q[1])
    coriolis = bend * jnp.stack([2 * qd[0] * qd[1] + qd[1] ** 2, -(qd[0] ** 2)])
    force = torque - params.damping * qd + coriolis
    det = a * c - b**2
    free = jnp.stack([c * force[0] - b * force[1], a * force[1] - b * force[0]]) / det
    a0, b0, c0 = _mass_matrix(arm, jnp.ones_like(q[1]), params)
    weight = a0 / (a0 * c0 - b0**2)
    limit = jnp.zeros_like(det)
    for side in (1, -1):
        distance = params.range + side * q[1]
        x = jnp.minimum(jnp.abs(distance) / _DEPTH, 1)
        d = _NEAR + (_FAR - _NEAR) * jnp.where(x <= 0.5, 2 * x**2, 1 - 2 * (1 - x) ** 2)
        stiff = 1 / (_FAR * _TIME)
        wanted = -2 * stiff * side * qd[1] - stiff**2 * d * distance - side * free[1]
        pushed = jnp.maximum(wanted / (a / det + (1 - d) / d * weight), 0)
        limit = limit + jnp.where(distance < 0, side * pushed, 0)
    return free + limit * jnp.stack([-b, a]) / det


def _mass_matrix(arm: _Arm, cos: Array, params: ReacherParams) -> tuple[Array, Array, Array]:
    """`(M11, M12, M22)`, float[] each, by the cosine of the elbow's angle."""
    h = arm.lever * cos
    return arm.shoulder + 2 * h + params.armature, arm.elbow + h, arm.elbow + params.armature


def _runge_kutta(arm: _Arm, state: ReacherState, torque: Array, params: ReacherParams) -> ReacherState:
    def slope(q: Array, qd: Array) -> tuple[Array, Array]:
        return qd, _acceleration(arm, q, qd, torque, params)

    (q, qd), dt = state, params.dt
    v1, a1 = slope(q, qd)
    v2, a2 = slope(q + dt / 2 * v1, qd + dt / 2 * a1)
    v3, a3 = slope(q + dt / 2 * v2, qd + dt / 2 * a2)
    v4, a4 = slope(q + dt * v3, qd + dt * a3)
    return ReacherState(q + dt / 6 * (v1 + 2 * v2 + 2 * v3 + v4), qd + dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4))


def _tip(q: Array) -> Array:
    """float[2], position of the finger tip."""
    angles = jnp.stack([q[0], q[0] + q[1]])
    lengths = jnp.asarray([LINK, TIP], q.dtype)
    return jnp.stack([jnp.sum(lengths * jnp.cos(angles)), jnp.sum(lengths * jnp.sin(angles))])


def _obs(state: ReacherState) -> Array:
    return jnp.concatenate([jnp.cos(state.q), jnp.sin(state.q), 0.1 * state.qd])


def _from_segment(point: Array, a: Array, b: Array) -> Array:
    """float[H, W], distances of points `[H, W, 2]` from the segment between `a` and `b` `[2]`."""
    along = jnp.clip((point - a[None, None]) @ (b - a) / jnp.sum((b - a) ** 2), 0, 1)
    return jnp.linalg.norm(point - a[None, None] - along[..., None] * (b - a)[None, None], axis=-1)


ENVIRONMENTS = {"Reacher": Entry(Reacher)}
