"""The last items of an episode as a part of the state."""

import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.history import history
from tests.envs.wrappers.counting import Count, play


def test_history_holds_the_last_items():
    env = history(Count(), 3, observe=True)
    obs, outs = play(env, 5)
    shown = [obs["history"].tolist(), *(o.obs["history"].tolist() for o in outs)]
    assert shown == [[0, -1, -1], [0, 1, -1], [0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: history(CartPole(), 3), r"History\.of: CartPole has no item"),
        (lambda: history(Tabular(3, 2), 0), r"History\.n: must be >= 1"),
        (lambda: history(Tabular(3, 2), 1.5), r"History\.n: must be an int, got 1\.5"),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
