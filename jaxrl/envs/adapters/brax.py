"""brax environments as `Env`: raw dynamics, termination only, physical constants as parameters.

The four back-ends integrate different equations: the same actions end an episode at different steps, so a
result on one back-end is no result on another.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.core import linear
from jaxrl.core.errors import MissingExtra, UsageError, nearest
from jaxrl.core.spaces import Box
from jaxrl.core.types import Array, Key, PyTree, Step, struct

NAMES = (
    "ant",
    "halfcheetah",
    "hopper",
    "humanoid",
    "humanoidstandup",
    "inverted_double_pendulum",
    "inverted_pendulum",
    "pusher",
    "reacher",
    "walker2d",
)
BACKENDS = ("generalized", "spring", "positional", "mjx")

_log = logging.getLogger(__name__)


@struct.dataclass
class BraxParams:
    """What can be randomised; `L` links, `D` degrees of freedom, `A` actuators, `G` geometries.

    damping: float[D], N m s / rad or N s / m (generalized, mjx), or float[L], of relative rotations at the
    joint of a link (spring, positional); gear: float[A], force per unit of control; friction: float[G],
    sliding coefficient; gravity: float[3], m/s^2; time_limit: int32[], steps.

    The others are `()` where the back-end does not read them (spring and positional raise masses and inertias
    to powers that are zero in some models: the hopper's and the ant's masses mean nothing there).
    mass: float[L], kg; inertia: float[L, 3], principal moments, kg m^2; inverse_weight: `(float[L, 2],
    float[D])`, inverse inertias in the initial pose of a link (translation, rotation) and of a degree of
    freedom, which scale constraint forces (generalized, mjx). They follow from the other leaves, at the price
    of a mass matrix: change masses by `scale_mass`, which updates them.
    """

    damping: Array
    gear: Array
    friction: Array
    gravity: Array
    mass: Array | tuple[()]
    inertia: Array | tuple[()]
    inverse_weight: tuple[Array, ...]
    time_limit: Array


@dataclass(frozen=True)
class Brax:
    """One brax environment, e.g. `Brax("hopper", "spring")`.

    obs: what brax observes, float32[n]; actions in [-1, 1]; the state is brax's pipeline state. `terminated`
    is brax's raw `done`, which never contains a time limit; where the physics left the finite numbers,
    observation and reward are 0, `terminated` and `info["non_finite"]` are set. `info` holds brax's
    `metrics` of this step. brax keeps paying reward after the end: restarting is left to the rollout.

    The back-ends `generalized` and `mjx` factorise mass matrices by LAPACK in every step. Populations on two
    CPU devices or more can then wait for ever (256 ants did in a trial with such matrices, 1024 hoppers did
    not): use an accelerator, one CPU device, or the back-ends `spring` and `positional`.
    """

    name: str
    backend: str
    reward_dim: None = None

    def __post_init__(self) -> None:
        if self.name == "swimmer":
            raise UsageError(
                "Brax.name: swimmer does not run, its fluid model needs a back-end that brax removed; "
                f"choose one of {', '.join(NAMES)}"
            )
        _check_choice("name", self.name, NAMES)
        _check_choice("backend", self.backend, BACKENDS)

    @property
    def observation_space(self) -> Box:
        """Unbounded."""
        return Box(-float("inf"), float("inf"), _load(self.name, self.backend).obs_shape)

    @property
    def action_space(self) -> Box:
        """Controls in [-1, 1]."""
        return Box(-1.0, 1.0, (_load(self.name, self.backend).simulator.action_size,))

    def default_params(self) -> BraxParams:
        """The constants of the model file; 1000 steps."""
        sys = _load(self.name, self.backend).simulator.sys
        exact = self.backend in ("generalized", "mjx")
        return BraxParams(
            damping=sys.dof.damping if exact else sys.link.constraint_ang_damping,
            gear=sys.actuator.gear,
            friction=sys.geom_friction[:, 0],
            gravity=sys.gravity,
            mass=sys.link.inertia.mass if exact or float(sys.spring_mass_scale) != 1 else (),
            inertia=sys.body_inertia[1:] if exact or float(sys.spring_inertia_scale) != 1 else (),
            inverse_weight=(sys.body_invweight0[1:], sys.dof_invweight0) if exact else (),
            time_limit=jnp.full((), 1000, jnp.int32),
        )

    def time_limit(self, params: BraxParams) -> Array:
        """int32[], the largest number of steps of an episode."""
        return params.time_limit

    def reset(self, key: Key, params: BraxParams) -> tuple[PyTree, Array]:
        """`(pipeline state, obs)`."""
        simulator = self._with_params(params)
        with _foreign_code():
            state = simulator.reset(key)
        return _strong(state.pipeline_state), state.obs.astype(params.gravity.dtype)

    def step(self, key: Key, state: PyTree, action: Array, params: BraxParams) -> tuple[PyTree, Step]:
        """One control step; the dynamics are deterministic, `key` is not used."""
        from brax.envs import State

        loaded, dtype = _load(self.name, self.backend), params.gravity.dtype
        zero = jnp.zeros((), dtype)
        # brax's steps write their metrics into the given dict and read nothing but the pipeline state
        before = State(state, None, zero, zero, dict.fromkeys(loaded.metrics, zero), {})
        with _foreign_code():
            after = self._with_params(params).step(before, action)
        after_state = _strong(after.pipeline_state)
        obs, reward = jnp.asarray(after.obs, dtype), jnp.asarray(after.reward, dtype)
        numbers = (obs, reward, after_state.q, after_state.qd)
        finite = functools.reduce(jnp.logical_and, [jnp.all(jnp.isfinite(x)) for x in numbers])
        info = {name: jnp.asarray(after.metrics[name], dtype) for name in loaded.metrics}
        info["non_finite"] = ~finite
        obs, reward = jnp.where(finite, obs, 0), jnp.where(finite, reward, 0)
        return after_state, Step(obs, reward, (jnp.asarray(after.done) > 0.5) | ~finite, info)

    def _with_params(self, params: BraxParams) -> Any:
        """A copy of the simulator whose system has the numbers of `params`; the original is not touched."""
        simulator = copy.copy(_load(self.name, self.backend).simulator)
        simulator.sys = _system(simulator.sys, params)
        return simulator


def scale_mass(env: Brax, params: BraxParams, factor: float | Array) -> BraxParams:
    """`params` with masses and inertias times `factor` (float[] or float[L]), as if densities were scaled.

    Where the back-end reads inverse weights they change in proportion to those of the old and the new system.
    Pure: can be jitted and vmapped over `factor`. UsageError where the back-end ignores masses.
    """
    if isinstance(params.mass, tuple):
        raise UsageError(
            f"scale_mass: {env.name} on {env.backend} ignores masses (its spring_mass_scale is 1); use the "
            "generalized or mjx back-end"
        )
    factor = jnp.broadcast_to(jnp.asarray(factor, params.mass.dtype), params.mass.shape)
    inertia = params.inertia if isinstance(params.inertia, tuple) else params.inertia * factor[:, None]
    scaled = params.replace(mass=params.mass * factor, inertia=inertia)
    if not params.inverse_weight:
        return scaled
    with _foreign_code():
        sys = _load(env.name, env.backend).simulator.sys
        old, new = _inverse_weight(_system(sys, params)), _inverse_weight(_system(sys, scaled))
    # a ratio, because MuJoCo leaves rotor inertias out for bodies that only slide (pusher's object)
    weight = [w * n / jnp.where(o > 0, o, 1) for w, n, o in zip(params.inverse_weight, new, old, strict=True)]
    return scaled.replace(inverse_weight=tuple(weight))


class _Loaded(NamedTuple):
    simulator: Any
    obs_shape: tuple[int, ...]
    metrics: tuple[str, ...]


def _load(name: str, backend: str) -> _Loaded:
    """The simulator, built once per process; with 64-bit numbers enabled it is another object."""
    return _build(name, backend, jax.config.jax_enable_x64)


@functools.cache
def _build(name: str, backend: str, x64: bool) -> _Loaded:
    _import_quietly()
    import brax.envs

    # the first use may lie inside a trace, and what is cached must not hold its tracers
    with jax.ensure_compile_time_eval(), _foreign_code():
        simulator = brax.envs.get_environment(name, backend=backend)
        first = jax.eval_shape(simulator.reset, jax.random.key(0))
    return _Loaded(simulator, first.obs.shape, tuple(sorted(first.metrics)))


@functools.cache
def _import_quietly() -> None:
    """Imports brax and mujoco; what they say goes to the logger, and no file to the working directory."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), _foreign_code():
            import brax.envs  # noqa: F401
            import mujoco
    except ImportError as error:
        raise MissingExtra(
            f"brax: cannot be imported ({error}); install it with `pip install brax`"
        ) from error
    for line in printed.getvalue().splitlines():
        _log.debug("%s", line)
    # without a callback mujoco writes MUJOCO_LOG.TXT
    mujoco.set_mju_user_warning(lambda text: _log.info("%s", text))


@contextlib.contextmanager
def _foreign_code() -> Iterator[None]:
    """Known notices of unmaintained dependencies are hidden; their code relies on rank promotion."""
    with warnings.catch_warnings(), jax.numpy_rank_promotion("allow"):
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(jaxopt|brax|mujoco)(\.|$)")
        warnings.filterwarnings("ignore", category=UserWarning, module=r"brax\.io\.mjcf$")
        yield


def _system(sys: Any, params: BraxParams) -> Any:
    """The `System` with the numbers of `params` wherever one of the back-ends reads them."""
    changes = {
        "actuator.gear": params.gear,
        "actuator_gear": sys.actuator_gear.at[:, 0].set(params.gear),
        "geom_friction": sys.geom_friction.at[:, 0].set(params.friction),
        "gravity": params.gravity,
        "opt.gravity": params.gravity,
    }
    if not isinstance(params.mass, tuple):
        changes["link.inertia.mass"] = params.mass
        changes["body_mass"] = sys.body_mass.at[1:].set(params.mass)
    if not isinstance(params.inertia, tuple):
        changes["link.inertia.i"] = jax.vmap(jnp.diag)(params.inertia)
        changes["body_inertia"] = sys.body_inertia.at[1:].set(params.inertia)
    if not params.inverse_weight:
        changes["link.constraint_ang_damping"] = params.damping
    else:
        link, dof = params.inverse_weight
        changes |= {
            "dof.damping": params.damping,
            "dof_damping": params.damping,
            "link.invweight": link[:, 0],
            "dof.invweight": dof,
            "body_invweight0": sys.body_invweight0.at[1:].set(link),
            "dof_invweight0": dof,
        }
    return sys.tree_replace(changes)


def _inverse_weight(sys: Any) -> tuple[Array, Array]:
    """`(float[L, 2], float[D])` as MuJoCo's `mj_setConst` defines them.

    Diagonal of J M^-1 J' at a link's centre of mass and of M^-1, averaged over the three axes of a
    translation or a rotation.
    """
    from mujoco import mjx

    data = mjx.crb(sys, mjx.com_pos(sys, mjx.kinematics(sys, mjx.make_data(sys))))
    inverse = linear.inverse(mjx.full_m(sys, data))

    def of_link(body: Array) -> Array:
        jacobians = jnp.stack(mjx.jac(sys, data, data.xipos[body], body))  # [2, D, 3]
        return jnp.einsum("kda,de,kea->k", jacobians, inverse, jacobians) / 3

    dof, begin, averaged = jnp.diagonal(inverse), 0, []
    for kind in sys.jnt_type:
        widths = {0: (3, 3), 1: (3,)}.get(int(kind), (1,))  # free, ball; slide and hinge
        for width in widths:
            averaged.append(jnp.full(width, dof[begin : begin + width].mean()))
            begin += width
    return jax.vmap(of_link)(jnp.arange(1, sys.nbody)), jnp.concatenate(averaged)


def _strong(tree: PyTree) -> PyTree:
    """Leaves without weak types, so that reset and step agree."""
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, jnp.asarray(x).dtype), tree)


def _check_choice(field: str, value: str, choices: tuple[str, ...]) -> None:
    if value in choices:
        return
    raise UsageError(f"Brax.{field}: unknown {value!r}; {nearest(value, choices)}")
