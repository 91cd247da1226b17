"""What the rollout layer refuses, with a sentence that names the field."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Transition
from jaxrl.rollout import returns
from jaxrl.rollout.evaluate import evaluate
from jaxrl.rollout.normalise import RunningMoments
from jaxrl.rollout.unroll import Pool, start, unroll
from tests.rollout.rollout_toys import Counter, constant_policy

KEY, T, N = jax.random.key(0), 4, 2
X, CUT = jnp.zeros((T, N)), jnp.zeros((T, N), bool)
ENV, POLICY, PARAMS = Counter(), constant_policy(), jnp.ones(())


def roll(**options):
    vec = start(ENV, POLICY, KEY, PARAMS, N)
    return unroll(ENV, POLICY, vec, KEY, PARAMS, **({"length": 3} | options))


def run(**options):
    return evaluate(ENV, POLICY, KEY, PARAMS, **({"episodes": 2, "limit": 3} | options))


CASES = {
    "no episodes": (lambda: run(episodes=0), "episodes: must be >= 1, got 0"),
    "no limit": (lambda: run(limit=None), "limit: Counter has no time limit of its own"),
    "limit of zero": (lambda: run(limit=0), "limit: must be >= 1 step, got 0"),
    "limits of others": (lambda: roll(limit=jnp.ones(3)), "limit: shape (3,) is neither () nor [N] = (2,)"),
    "empty pool": (lambda: Pool(0), "Pool.size: must be >= 1, got 0"),
    "no steps": (lambda: roll(length=0), "length: must be >= 1 step, got 0"),
    "no environments": (lambda: start(ENV, POLICY, KEY, PARAMS, 0), "n: must be >= 1 environment, got 0"),
    "unknown info": (
        lambda: roll(keep=("x",)),
        "keep: 'x' is not in Step.info of this environment, which has",
    ),
    "reward of one axis": (
        lambda: returns.gae(X[:, 0], X[:, 0], X[:, 0], X[:, 0], CUT[:, 0], 0.9),
        "reward: must be [T, N] or [T, N, m]",
    ),
    "value with an extra row": (
        lambda: returns.gae(X, jnp.zeros((T + 1, N)), X, X, CUT, 0.9),
        "value: must fit the shape of reward",
    ),
    "scalar value for a vector reward": (
        lambda: returns.gae(jnp.zeros((T, N, 3)), X, X, X, CUT, 0.9),
        "value: must fit the shape of reward",
    ),
    "scalar discount": (lambda: returns.lambda_returns(X, X, 0.9, CUT, 0.9), "discount: must fit"),
    "float cut": (lambda: returns.gae(X, X, X, X, X, 0.9), "cut: must be bool, got float32"),
    "lambda above 1": (lambda: returns.gae(X, X, X, X, CUT, 1.1), "lambda_: must lie in [0, 1], got 1.1"),
    "negative lambda": (
        lambda: returns.lambda_returns(X, X, X, CUT, np.float32(-1)),
        "lambda_: must lie in [0, 1], got -1.0",
    ),
    "gamma above 1": (
        lambda: returns.discount_and_cut(Transition(X, X, X, X, CUT, CUT, (), {}), 99),
        "gamma: must lie in [0, 1], got 99",
    ),
    "zero steps": (lambda: returns.n_step(X, X, X, CUT, 0), "n: must be >= 1, got 0"),
    "ratio of another batch": (
        lambda: returns.vtrace(X, X, X, X, CUT, X, jnp.zeros((T, 1))),
        "c: must fit the shape of reward",
    ),
    "uncountable batch": (
        lambda: jax.eval_shape(
            RunningMoments.zeros(jnp.zeros(())).update, jax.ShapeDtypeStruct((2**30,), jnp.float32)
        ),
        "rows: 1073741824 rows in one batch",
    ),
    "empty blocks": (lambda: returns.batched_apply(jnp.sum, X, rows=0), "rows: must be >= 1, got 0"),
}


@pytest.mark.parametrize("case", CASES)
def test_refuses(case):
    call, message = CASES[case]
    with pytest.raises(UsageError, match=re.escape(message)):
        call()


def test_traced_numbers_are_not_looked_at():
    """A sweep over lambda cannot be checked while it is traced, and must not fail because of that."""
    jax.jit(lambda l: returns.gae(X, X, X, X, CUT, l))(jnp.asarray(2.0))
