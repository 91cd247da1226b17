"""The catalogue finds every environment module by itself."""

import pytest

import jaxrl.envs.catalogue as module
from jaxrl.core.errors import UsageError
from jaxrl.envs.base import Entry
from jaxrl.envs.catalogue import catalogue, make
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.grids.levels import LEVELS, RANDOM_LEVELS


def test_make_gives_equal_environments():
    assert make("CartPole") == CartPole() and make("CartPole") == make("CartPole")
    assert len({make(name) for name in catalogue()}) == len(catalogue())


def test_every_level_has_a_name():
    assert {f"GridWorld-{name}" for name in (*LEVELS, *RANDOM_LEVELS)} <= catalogue().keys()


def test_the_nearest_name_is_offered():
    with pytest.raises(UsageError, match="'Cartpole' does not exist; did you mean 'CartPole'"):
        make("Cartpole")


def test_a_new_module_appears_and_may_not_take_a_name(tmp_path, monkeypatch):
    new = tmp_path / "new_group.py"
    text = "from jaxrl.envs.base import Entry\nfrom jaxrl.envs.control.pendulum import Pendulum\n"
    new.write_text(text + 'ENVIRONMENTS = {"Swing": Entry(Pendulum)}\n')
    monkeypatch.setattr(module.jaxrl.envs, "__path__", [*module.jaxrl.envs.__path__, str(tmp_path)])
    catalogue.cache_clear()
    try:
        assert make("Swing") == Pendulum()
        (tmp_path / "other_group.py").write_text(text + 'ENVIRONMENTS = {"CartPole": Entry(Pendulum)}\n')
        catalogue.cache_clear()
        with pytest.raises(UsageError, match="'CartPole' is taken"):
            catalogue()
    finally:
        catalogue.cache_clear()
    assert isinstance(Entry(CartPole).make(), CartPole)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make("Pendulun"),
            "'Pendulun' does not exist; did you mean 'Pendulum'",
        ),
    ],
)
def test_refusals_name_the_field(call, message):
    with pytest.raises(UsageError, match=message):
        call()
