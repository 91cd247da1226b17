"""Disagreement: reward and loss against numpy, and models that agree where they were trained."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.reward_free.explorers import disagreement

HYPER = disagreement.Hyper(lr_module=0.01)
N, B, K, D = 3, 5, 2, 1
PARTS = disagreement.intrinsic(disagreement.Config(module_widths=(32,), models=N), K, D)
RNG = np.random.default_rng(0)
OBS, ACTION, NEXT = (RNG.normal(size=(B, n)).astype(np.float32) for n in (K, D, K))


def test_reward_of_given_predictions():
    predicted = RNG.normal(size=(N, B, K)).astype(np.float32)
    expected = [
        np.mean([np.sum((p - p.mean()) ** 2) / (N - 1) for p in predicted[:, i].astype(np.float64).T])
        for i in range(B)
    ]
    np.testing.assert_allclose(disagreement.variance(predicted), expected, rtol=1e-5)


def test_loss_of_given_predictions():
    predicted = np.repeat(NEXT[None], N, axis=0)
    predicted[0] += np.float32([3, 4])  # a norm of 5 in every row of one model, 0 in the others
    np.testing.assert_allclose(disagreement.loss(predicted, NEXT), 5.0, rtol=1e-5)


def test_models_agree_where_they_were_trained():
    @jax.jit
    def learn(state):
        step = lambda _, s: PARTS.update(s, HYPER, jax.random.key(0), OBS, ACTION, NEXT, ACTION)  # noqa: E731
        after = jax.lax.fori_loop(0, 300, step, state)
        return PARTS.reward(state, HYPER, OBS, ACTION, NEXT), PARTS.reward(after, HYPER, OBS, ACTION, NEXT)

    first, last = learn(jax.jit(PARTS.init)(jax.random.key(1)))
    assert first.shape == (B,) and float(last.mean()) < 0.05 * float(first.mean())


def test_one_model_is_refused():
    with pytest.raises(UsageError, match=r"Config\.models: must be >= 2, got 1"):
        disagreement.Config(models=1)
