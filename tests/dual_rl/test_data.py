"""Datasets as inputs of networks: first rows, features, weights, and what does not fit the spaces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.dual_rl import forms
from jaxrl.dual_rl.data import Data, Reader, initial, termination_rate
from jaxrl.dual_rl.networks import networks
from tests.dual_rl.dual_tables import BOX, KEYS, OBS, dataset


def test_initial_rows_and_features():
    data = dataset(BOX)
    first = initial(data)
    np.testing.assert_array_equal(first.obs, np.asarray(data.obs)[[0, 8, 16]])
    masked = data.replace(mask=jnp.arange(24) >= 8)
    np.testing.assert_array_equal(initial(masked).obs, np.asarray(data.obs)[[8, 16]])
    nets = networks(OBS, BOX, widths=(4,), activation="relu")
    reader = Reader(nets.encode, nets.unit, jnp.ones(3), jnp.full(3, 2.0))
    rows = reader.read(jax.random.key(0), masked, None, rewards=True)
    np.testing.assert_allclose(rows.x, (np.asarray(data.obs) - 1) / 2, rtol=1e-6)
    np.testing.assert_allclose(rows.weights, np.where(np.arange(24) < 8, 0, 1 / 16), rtol=1e-6)
    np.testing.assert_array_equal(rows.not_done, 1.0 - np.asarray(data.terminated))
    np.testing.assert_allclose(rows.a, np.asarray(data.action) / 2, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(nets.action)(rows.a), data.action, rtol=1e-6)
    edge = nets.unit(jnp.array([2.0]))
    assert 0.9999 < float(edge[0]) < 1  # the log-probability of a squashed action is finite there


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"reward": jnp.zeros((24, 2))}, r"Data.reference.reward: must be one per row, got shape \(24, 2\)"),
        ({"obs": jnp.zeros((24, 4))}, r"Data.reference.obs: has shape \(4,\) per row"),
        ({"action": jnp.zeros(24, jnp.int32)}, "Data.reference.action: has shape"),
        ({"action": jnp.zeros((24, 2))}, r"Data.reference.action: has shape \(2,\) per row"),
    ],
)
def test_rows_of_other_spaces_are_named_while_tracing(change, sentence):
    config, data = forms.config("IQL", batch_size=8, widths=()), dataset(BOX).replace(**change)
    algorithm = forms.algorithm(config, OBS, BOX)
    with pytest.raises(UsageError, match=sentence):
        jax.eval_shape(algorithm.init, jax.random.key(0), forms.hyper(config), Data(data))


@pytest.mark.parametrize("name", ["XQL", "ReCOIL released", "SMODICE", "ReCOIL-Q"])
def test_values_outside_the_spaces_are_refused_before_training(name):
    """Actions 1 .. 3 of a space of three, in any dataset; the driver calls `check`."""
    config, rows = forms.config(name, batch_size=8, widths=()), dataset(KEYS)
    wrong = rows.replace(action=rows.action + 1)
    algorithm = forms.algorithm(config, OBS, KEYS)
    for part in ("reference", "expert", "start"):
        data = Data(rows, rows, rows).replace(**{part: wrong})
        with pytest.raises(UsageError, match=rf"Data.{part}.action: row \d+ lies outside \[0, 2\]"):
            algorithm.check(data)
    algorithm.check(Data(rows, rows, rows))


def test_rows_with_weights_have_no_first_ones():
    weighed = dataset(BOX).replace(mask=jnp.full(24, 1 / 24))
    with pytest.raises(UsageError, match="initial: the rows have weights"):
        initial(weighed)


def test_the_share_of_terminations_is_weighted():
    rows = dataset(KEYS)
    assert float(termination_rate(rows)) == pytest.approx(1 / 24)
    assert float(termination_rate(rows.replace(mask=jnp.arange(24) < 16))) == pytest.approx(1 / 16)
