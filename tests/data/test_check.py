"""Datasets that a learner for given spaces must refuse, by name of the field, the row and the fix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.baselines import bc
from jaxrl.core.errors import UsageError
from jaxrl.core.spaces import Box, Discrete
from jaxrl.data.check import check_dataset
from jaxrl.data.dataset import from_arrays
from jaxrl.run.train import train

N = 6
OBS = Box(-np.inf, np.inf, (2,))
UNIT = Box(-1.0, 1.0, (1,))


def dataset(action, obs=None, **fields):
    obs = np.zeros((N, 2)) if obs is None else obs
    ends = np.arange(N) % 3 == 2
    arrays = {"obs": obs, "next_obs": obs, "action": action, "reward": np.zeros(N)}
    data = from_arrays(arrays | {"terminated": ends, "truncated": np.zeros(N, bool)})
    return data.replace(**fields)


REFUSED = {
    "actions that count from 1": (dataset([1, 2, 3, 1, 2, 3]), OBS, Discrete(3), "data.action: row 2 lies"),
    "negative": (dataset([0, -1, 0, 0, 0, 0]), OBS, Discrete(3), "data.action: row 1 lies"),
    "halves": (dataset(np.full(N, 0.5)), OBS, Discrete(3), "data.action: has type float32; .* integers"),
    "booleans": (dataset(np.zeros(N, bool)), OBS, Discrete(2), "data.action: has type bool; .* integers"),
    "a column": (dataset(np.zeros((N, 1), int)), OBS, Discrete(2), r"data.action: has shape \(1,\) per row"),
    "outside the box": (dataset(np.full((N, 1), 1.5)), OBS, UNIT, "data.action: row 0 lies .*; clip or"),
    "integers for a box": (
        dataset(np.zeros((N, 1), int)),
        OBS,
        UNIT,
        "data.action: has type int32",
    ),
    "floats for integers": (
        dataset(np.zeros((N, 1))),
        OBS,
        Box(0, 9, (1,), np.int32),
        "data.action: has type float32; .* integers",
    ),
    "integers outside the box": (
        dataset(np.full((N, 1), 10)),
        OBS,
        Box(0, 9, (1,), np.int32),
        "data.action: row 0 lies",
    ),
    "another structure": (
        dataset({"arm": np.zeros((N, 1))}),
        OBS,
        {"leg": UNIT},
        "data.action: has the structure .*; nest the arrays likewise",
    ),
    "observations": (dataset(np.zeros((N, 1)), np.zeros((N, 3))), OBS, UNIT, r"data.obs: has shape \(3,\)"),
    "states": (dataset([0] * N, np.full(N, 4)), Discrete(4), Discrete(2), "data.obs: row 0 lies .* space of"),
    "no weight": (dataset([0] * N, mask=jnp.zeros(N)), OBS, Discrete(2), "data.mask: is zero"),
    "all padding": (
        dataset([0] * N, mask=jnp.zeros(N, bool)),
        OBS,
        Discrete(2),
        "data.mask: is zero",
    ),
    "weight NaN": (
        dataset([0] * N, mask=jnp.full(N, jnp.nan)),
        OBS,
        Discrete(2),
        "data.mask: is nan in",
    ),
    "weight below 0": (
        dataset([0] * N, mask=jnp.full(N, -1.0)),
        OBS,
        Discrete(2),
        "data.mask: is -1.0",
    ),
    "no rows": (dataset([0] * N).take(jnp.arange(0)), OBS, Discrete(2), "data: has no rows"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    data, observations, actions, message = REFUSED[name]
    with pytest.raises(UsageError, match=f"^{message}"):
        check_dataset(data, observations, actions)


@pytest.mark.parametrize(
    ("data", "spaces"),
    [
        (dataset([0, 1, 2, 0, 1, 2]), (OBS, Discrete(3))),
        (dataset(np.full((N, 1), np.float32(0.7))), (OBS, Box(-0.3, 0.7, (1,)))),
        # one rounding above the bound, as squashed policies give it
        (dataset(np.full((N, 1), np.nextafter(np.float32(0.7), 1))), (OBS, Box(-0.3, 0.7, (1,)))),
        (dataset(np.full((N, 1), -1e30)), (OBS, Box(-np.inf, 1.0, (1,)))),
        (dataset({"arm": np.zeros((N, 1)), "key": [1] * N}), (OBS, {"arm": UNIT, "key": Discrete(2)})),
        (dataset([0] * N, np.full((N, 2), 200, np.uint8)), (Box(0, 255, (2,), np.uint8), Discrete(1))),
        # what padding holds is nobody's business
        (dataset([0, 0, 9, 0, 0, 9], mask=jnp.arange(N) % 3 < 2), (OBS, Discrete(2))),
        # observations beyond a declared bound
        (dataset([0] * N, np.full((N, 2), 1.5)), (Box(-1.0, 1.0, (2,)), Discrete(1))),
    ],
)
def test_accepted(data, spaces):
    check_dataset(data, *spaces)


def test_types_are_checked_while_tracing():
    """Values cannot be."""
    wrong = dataset(np.zeros((N, 2)))
    with pytest.raises(UsageError, match=r"^data\.action: has shape"):
        jax.eval_shape(lambda data: check_dataset(data, OBS, UNIT), wrong)
    jax.eval_shape(lambda data: check_dataset(data, OBS, Discrete(3)), dataset([1, 2, 3, 1, 2, 3]))


@pytest.mark.parametrize("shared", [True, False])
def test_training_refuses_data_by_their_values(shared):
    """Cloning these actions gave an infinite loss."""
    data = dataset([1, 2, 3, 1, 2, 3])
    algorithm = bc.make(bc.Config(batch_size=None, widths=()), OBS, Discrete(3))
    hypers = bc.Hyper(lr=np.full(2, 1e-3))
    if not shared:
        data = jax.tree.map(lambda x: jnp.stack([x, x]), data)
    keys = jax.random.split(jax.random.key(0))
    with pytest.raises(UsageError, match=r"^data\.action: row 2 lies outside"):
        train(algorithm, keys, hypers, data, updates=1, shared_data=shared, progress=False)
    with pytest.raises(UsageError, match=r"^data\.action: row 2 lies outside"):
        algorithm.init(jax.random.key(0), bc.Hyper(), dataset([1, 2, 3, 1, 2, 3]))
