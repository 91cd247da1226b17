"""Environments of gymnasium on the host, for evaluation (`jaxrl.rollout.host`), and ours as gymnasium's."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.core.fields import Size, check_value
from jaxrl.core.spaces import Box, Discrete, Space
from jaxrl.core.types import PyTree
from jaxrl.envs.base import Env


def maker(name: str, **options: Any) -> Callable[[], Any]:
    """A function that makes one fresh environment, e.g. `maker("Hopper-v5")`.

    name: as `gymnasium.make` takes it; `"module:Name-v0"` imports the module, which registers the name.

    Raises `MissingExtra` without gymnasium or a library that the environment needs, `UsageError` for a name
    that gymnasium does not know.
    """
    gymnasium = _gymnasium()
    module, _, registered = name.rpartition(":")
    try:
        if module:
            importlib.import_module(module)
        spec = gymnasium.spec(registered)
        if isinstance(spec.entry_point, str):
            gymnasium.envs.registration.load_env_creator(spec.entry_point)
    except gymnasium.error.Error as error:
        raise UsageError(f"name: gymnasium has no {name!r}: {error}") from error
    except ImportError as error:
        raise MissingExtra(f"{name}: {error}; install it with `pip install 'jaxrl[data]'`") from error
    return functools.partial(gymnasium.make, registered, **options)


def as_gymnasium(
    env: Env, params: PyTree = None, *, limit: int | None = None, render_mode: str | None = None
) -> Any:
    """`env` as a `gymnasium.Env`, for algorithms that were written for it.

    params: of the environment, by default its own. limit: steps per episode, by default the environment's own
    limit, or none. render_mode: "rgb_array" where the environment can draw itself.

    Raises `UsageError` for a limit below 1 or a mode that there is not, `MissingExtra` without gymnasium.
    """
    _gymnasium()
    from jaxrl.envs.adapters.gymnasium_env import GymnasiumEnv

    limit = check_value("limit", limit, Size | None)
    return GymnasiumEnv(env, env.default_params() if params is None else params, limit, render_mode)


def as_gymnasium_vector(env: Env, n: int, params: PyTree = None, *, limit: int | None = None) -> Any:
    """`n` copies of `env` as one `gymnasium.vector.VectorEnv`; arguments as for `as_gymnasium`."""
    _gymnasium()
    from jaxrl.envs.adapters.gymnasium_env import GymnasiumVectorEnv

    n, limit = check_value("n", n, Size), check_value("limit", limit, Size | None)
    return GymnasiumVectorEnv(env, n, env.default_params() if params is None else params, limit)


def spaces(make_env: Callable[[], Any]) -> tuple[Space, Space]:
    """`(observation_space, action_space)` of what `make_env` makes, as ours."""
    env = make_env()
    try:
        return convert_space(env.observation_space), convert_space(env.action_space)
    finally:
        env.close()


def convert_space(space: Any) -> Space:
    """Discrete, Box, and dicts or tuples of them; floats as float32, integers other than uint8 as int32.

    Judges by the names of classes, which gymnasium and gymnax share. `UsageError` for other spaces, for
    Discrete that does not start at 0, and for integers beyond int32.
    """
    kinds = {kind.__name__ for kind in type(space).__mro__}
    if "Dict" in kinds:
        return {name: convert_space(part) for name, part in space.spaces.items()}
    if "Tuple" in kinds:
        return tuple(convert_space(part) for part in space.spaces)
    if "Discrete" in kinds and getattr(space, "start", 0) == 0:
        return Discrete(int(space.n))
    if "Box" in kinds:
        return _box(space)
    raise UsageError(
        f"space: {space} has no counterpart; use Discrete (from 0), Box, or dicts and tuples of them"
    )


def _box(space: Any) -> Box:
    kind = np.dtype(space.dtype)
    dtype = np.float32 if kind.kind == "f" else np.uint8 if kind == np.uint8 else np.int32
    low, high = np.asarray(space.low), np.asarray(space.high)
    if dtype == np.int32:
        limits = np.iinfo(np.int32)
        if np.any(low < limits.min) or np.any(high > limits.max):
            raise UsageError(f"space: {space} has integers beyond int32; narrow its bounds")
    return Box(low.tolist(), high.tolist(), tuple(space.shape), dtype)


def _gymnasium() -> Any:
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtra(
            f"gymnasium: cannot be imported ({error}); install it with `pip install 'jaxrl[data]'`"
        ) from error
    return gymnasium
