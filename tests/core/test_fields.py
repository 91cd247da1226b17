"""Checks of configurations by their annotations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.fields import (
    Bound,
    Count,
    Discount,
    Finite,
    NonNegative,
    Positive,
    Range,
    Seed,
    Share,
    Size,
    Weights,
    check_fields,
    check_numbers,
)
from jaxrl.core.types import struct


@dataclass(frozen=True)
class Left:
    depth: Size = 1


@dataclass(frozen=True)
class Right:
    width: float = 1.0


@struct.dataclass
class Hyper:
    lr: Positive = 1e-3
    gamma: Discount = 0.9
    tau: Share = 0.5
    shift: Finite = 0.0
    floor: NonNegative = 0.0
    limit: Bound | None = None
    w: Weights | None = None
    extra: Any = ()


@dataclass(frozen=True)
class Config:
    n: Size = 4
    memory: Count = 0
    seed: Seed = 0
    batch: Size | None = None
    rate: float = 0.5
    share: Annotated[float, Range(0, 1, open_low=True)] = 0.5
    widths: tuple[Size, ...] = (8,)
    pair: tuple[int, str] = (1, "a")
    mode: Literal["fast", "exact"] = "fast"
    axis: Literal[0] | None = None
    flag: bool = False
    name: str = ""
    side: Left | Right = field(default_factory=Left)
    grid: dict[str, tuple[float, ...]] = field(default_factory=dict)
    hyper: Hyper = field(default_factory=Hyper)
    anything: Any = None

    def __post_init__(self) -> None:
        check_fields(self)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n": 0}, "Config.n: must be >= 1, got 0"),
        ({"n": 1.5}, "Config.n: must be an int, got 1.5"),
        ({"n": "4"}, "Config.n: must be an int, got '4'"),
        ({"n": True}, "Config.n: must be an int, got True"),
        ({"memory": -1}, "Config.memory: must be >= 0, got -1"),
        ({"seed": 2**32}, "Config.seed: must be in [0, 4294967296), got 4294967296"),
        ({"seed": 10**20}, f"Config.seed: must be in [0, 4294967296), got {10**20}"),
        ({"rate": 10**400}, f"Config.rate: must be a float, got 1{'0' * 76}..."),
        ({"batch": 0}, "Config.batch: must be >= 1 or None, got 0"),
        ({"rate": "fast"}, "Config.rate: must be a float, got 'fast'"),
        ({"rate": float("nan")}, "Config.rate: must be a float, not NaN, got nan"),
        ({"share": 0.0}, "Config.share: must be in (0, 1], got 0.0"),
        ({"widths": 8}, "Config.widths: must be a tuple, got 8"),
        ({"widths": (8, 0)}, "Config.widths[1]: must be >= 1, got 0"),
        ({"pair": (1, "a", 2)}, "Config.pair: must be 2 values, got (1, 'a', 2)"),
        ({"mode": "slow"}, "Config.mode: must be one of 'fast', 'exact', got 'slow'"),
        ({"axis": 1}, "Config.axis: must be 0 or None, got 1"),
        ({"axis": False}, "Config.axis: must be 0 or None, got False"),
        ({"flag": 1}, "Config.flag: must be True or False, got 1"),
        ({"name": None}, "Config.name: must be text, got None"),
        ({"side": "left"}, "Config.side: must be a Left or a Right, got 'left'"),
        ({"grid": [1]}, "Config.grid: must be a dict, got [1]"),
        ({"grid": {"lr": 0.1}}, "Config.grid['lr']: must be a tuple, got 0.1"),
        ({"hyper": Hyper(lr=-1.0)}, "Config.hyper.lr: must be > 0 and finite, got -1.0"),
        (
            {"hyper": Hyper(lr=1e-50)},
            "Config.hyper.lr: must be > 0 and finite, got 1e-50, in float32 0.0",
        ),
    ],
)
def test_check_fields_names_class_field_and_what_is_allowed(values, message):
    with pytest.raises(UsageError) as caught:
        Config(**values)
    assert str(caught.value) == message


@dataclass(frozen=True)
class Double:
    float64: bool = True
    hyper: Hyper = field(default_factory=Hyper)

    def __post_init__(self) -> None:
        check_fields(self)


def test_numbers_of_double_precision_are_not_rounded():
    assert Double(hyper=Hyper(gamma=1 - 1e-9)).hyper.gamma == 1 - 1e-9
    with pytest.raises(UsageError, match=r"in float32 1\.0"):
        Double(float64=False, hyper=Hyper(gamma=1 - 1e-9))
    with jax.enable_x64(True):
        check_numbers(Hyper(gamma=1 - 1e-9))


def test_lists_become_tuples_and_whole_numbers_floats():
    config = Config(n=np.int64(3), widths=[8, 16], rate=1, pair=[2, "b"], grid={"lr": [1, 0.5]})
    assert (config.n, config.widths, config.rate, config.pair) == (3, (8, 16), 1.0, (2, "b"))
    assert config.grid == {"lr": (1.0, 0.5)}
    assert (type(config.n), type(config.rate), type(config.grid["lr"][0])) == (int, float, float)


def test_optional_fields_nested_records_and_fields_of_any_type_pass():
    config = Config(batch=None, axis=0, side=Right(2.0), anything=object())
    assert (config.batch, config.axis, config.side) == (None, 0, Right(2.0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gamma": 1.0}, "Hyper.gamma: must be in [0, 1), got 1.0"),
        ({"tau": 1.5}, "Hyper.tau: must be in [0, 1], got 1.5"),
        ({"lr": 0}, "Hyper.lr: must be > 0 and finite, got 0"),
        ({"lr": [1e-3]}, "Hyper.lr: must be a number, got [0.001]"),
        ({"lr": 1e39}, "Hyper.lr: must be > 0 and finite, got 1e+39, in float32 inf"),
        ({"w": (0.5, 10**60)}, f"Hyper.w: must be finite, got (0.5, {10**60}), in float32 [0.5, inf]"),
        ({"gamma": 1 - 1e-9}, "Hyper.gamma: must be in [0, 1), got 0.999999999, in float32 1.0"),
        ({"lr": float("inf")}, "Hyper.lr: must be > 0 and finite, got inf"),
        ({"lr": float("nan")}, "Hyper.lr: must be > 0 and finite, got nan"),
        ({"shift": float("-inf")}, "Hyper.shift: must be finite, got -inf"),
        ({"floor": -1e-9}, "Hyper.floor: must be >= 0 and finite, got -1e-09"),
        ({"limit": -1.0}, "Hyper.limit: must be in [0, inf], got -1.0"),
        ({"w": (1.0, float("nan"))}, "Hyper.w: must be finite, got (1.0, nan)"),
        ({"lr": "high"}, "Hyper.lr: must be a number, got 'high'"),
        ({"lr": None}, "Hyper.lr: must be a number, got None"),
        ({"gamma": np.array([0.5, 2.0])}, "Hyper.gamma: must be in [0, 1), got array([0.5, 2. ])"),
    ],
)
def test_check_numbers_names_the_leaf_and_its_range(values, message):
    with pytest.raises(UsageError) as caught:
        check_numbers(Hyper(**values))
    assert str(caught.value) == message


def test_check_numbers_takes_arrays_tracers_and_shapes_of_a_population():
    members = Hyper(lr=jnp.array([1e-3, 1e-2]), w=jnp.ones((2, 3)), limit=float("inf"), extra={"a": 1})
    check_numbers(members)

    @jax.jit
    def traced(hyper):
        check_numbers(hyper)
        return hyper.lr

    assert traced(Hyper(lr=-1.0)) == -1.0


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "text"),
    [
        (Range(0, 1), (0, 1, 0.5), (-0.1, 1.1, np.nan), "in [0, 1]"),
        (Range(0, 1, open_low=True, open_high=True), (0.5,), (0, 1), "in (0, 1)"),
        (Range(2), (2, np.inf), (1.9,), ">= 2"),
        (Range(2, open_low=True), (2.1,), (2,), "> 2"),
        (Range(None, 3), (3, -np.inf), (3.1,), "<= 3"),
        (Range(None, 3, open_high=True), (2.9,), (3,), "< 3"),
        (Range(), (0, -np.inf), (np.nan,), "a number"),
    ],
)
def test_ranges_hold_their_ends_only_where_closed(bounds, inside, outside, text):
    assert all(bounds.holds(x) for x in inside)
    assert not any(bounds.holds(x) for x in outside)
    assert str(bounds) == text
