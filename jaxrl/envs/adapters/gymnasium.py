"""gymnasium environments on the host, for evaluation (`jaxrl.rollout.host`): names and spaces."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxrl.core.errors import MissingExtra, UsageError
from jaxrl.core.spaces import Box, Discrete, Space


def maker(name: str, **options: Any) -> Callable[[], Any]:
    """A function that makes one fresh environment, e.g. `maker("Hopper-v5")`.

    Raises `MissingExtra` without gymnasium or a library that the environment needs, `UsageError` for a name
    that gymnasium does not know.
    """
    try:
        import gymnasium
    except ImportError as error:
        raise MissingExtra(
            f"gymnasium: cannot be imported ({error}); install it with `pip install 'jaxrl[data]'`"
        ) from error
    try:
        spec = gymnasium.spec(name)
    except gymnasium.error.Error as error:
        raise UsageError(f"name: gymnasium has no {name!r}: {error}") from error
    try:
        if isinstance(spec.entry_point, str):
            gymnasium.envs.registration.load_env_creator(spec.entry_point)
    except ImportError as error:
        raise MissingExtra(f"{name}: {error}; install it with `pip install 'jaxrl[data]'`") from error
    return functools.partial(gymnasium.make, name, **options)


def spaces(make_env: Callable[[], Any]) -> tuple[Space, Space]:
    """`(observation_space, action_space)` of what `make_env` makes, as ours."""
    env = make_env()
    try:
        return convert_space(env.observation_space), convert_space(env.action_space)
    finally:
        env.close()


def convert_space(space: Any) -> Space:
    """Discrete, Box, and dicts or tuples of them; floats as float32, integers other than uint8 as int32.

    Judges by attributes, because gymnasium and gymnax share names but no classes. `UsageError` for other
    spaces, and for ranges of integers that do not start at 0.
    """
    parts = getattr(space, "spaces", None)
    if isinstance(parts, dict):
        return {name: convert_space(part) for name, part in parts.items()}
    if isinstance(parts, tuple | list):
        return tuple(convert_space(part) for part in parts)
    if hasattr(space, "n") and getattr(space, "start", 0) == 0 and space.shape == ():
        return Discrete(int(space.n))
    if hasattr(space, "low") and hasattr(space, "high"):
        kind = np.dtype(space.dtype)
        dtype = np.float32 if kind.kind == "f" else np.uint8 if kind == np.uint8 else np.int32
        low, high = np.asarray(space.low), np.asarray(space.high)
        return Box(low.tolist(), high.tolist(), tuple(space.shape), dtype)
    raise UsageError(
        f"space: {space} has no counterpart; use Discrete (from 0), Box, or dicts and tuples of them"
    )
