"""Time inputs as masked slots, and what an objective refuses."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.meta.objective import MASKS, TIME_INPUTS, Objective, Time, check_mask, mask_of, time_inputs


def test_time_inputs_are_the_five_slots_times_the_mask():
    values = time_inputs(Time(30.0, 100.0, (1.0, 1.0, 1.0, 1.0, 1.0)), log_scale=0.5, longest=250.0)
    np.testing.assert_allclose(values, [0.3, 0.5 * np.log(100), 70 / 250, 30, 100], rtol=1e-6)
    for mask in MASKS.values():
        masked = time_inputs(Time(jnp.float32(30), jnp.float32(100), jnp.array(mask)), 0.5, 250.0)
        np.testing.assert_allclose(masked, np.array(mask) * np.array(values), rtol=1e-6)


def test_masks_name_their_inputs():
    assert mask_of(("n/N", "ln N")) == MASKS["paper"]
    assert mask_of(("n", "N")) == MASKS["raw"]
    assert mask_of(()) == MASKS["none"]
    assert all(len(mask) == len(TIME_INPUTS) for mask in MASKS.values())
    for wrong in (["bogus"], "n/N"):
        with pytest.raises(UsageError, match="must be a sequence of names from n/N, ln N"):
            mask_of(wrong)


@pytest.mark.parametrize(
    ("mask", "aware", "says"),
    [
        ((1.0, 0.0), False, "has shape [2]; give one factor for each of n/N, ln N"),
        (MASKS["none"], True, "no time input is live"),
        (np.zeros((3, 5)), True, "no time input is live"),
    ],
)
def test_masks_that_do_not_fit_are_refused(mask, aware, says):
    with pytest.raises(UsageError) as error:
        check_mask(mask, aware, "Hyper.mask")
    assert str(error.value).startswith("Hyper.mask: ") and says in str(error.value)
    check_mask(MASKS["paper"], True)


def test_objectives_name_a_slot_and_inputs_that_exist():
    with pytest.raises(UsageError, match=r"Objective\.slot"):
        Objective(lambda key: (), lambda phi: phi, "surrogate")
    with pytest.raises(UsageError, match=r"Objective\.inputs: 't' is none of"):
        Objective(lambda key: (), lambda phi: phi, "drift", ("t",))
