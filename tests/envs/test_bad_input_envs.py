"""What environments cannot do is refused in one sentence that names the field and the fix."""

import jax
import numpy as np
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.envs.catalogue import make
from jaxrl.envs.control.cartpole import CartPole
from jaxrl.envs.control.pendulum import Pendulum
from jaxrl.envs.grids.deep_sea import DeepSeaTreasure
from jaxrl.envs.grids.gridworld import Levels
from jaxrl.envs.grids.levels import LEVELS
from jaxrl.envs.render import save_film
from jaxrl.envs.sets.coverage import Coverage
from jaxrl.envs.sets.facility_location import FacilityLocation, similarities
from jaxrl.envs.sets.log_det import LogDet, kernel_params
from jaxrl.envs.sets.modular import Modular
from jaxrl.envs.tabular.generators import chain, garnet, gridworld, random_walk, riverswim
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mdp import make_mdp, time_indexed, validate
from jaxrl.envs.tabular.mixture import make_mixture
from jaxrl.envs.tabular.mixture_generators import lock
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.envs.wrappers.action_repeat import action_repeat
from jaxrl.envs.wrappers.clip_action import clip_action
from jaxrl.envs.wrappers.discretise import discretise
from jaxrl.envs.wrappers.finite_horizon import finite_horizon
from jaxrl.envs.wrappers.flatten_obs import flatten_obs
from jaxrl.envs.wrappers.history import history
from jaxrl.envs.wrappers.observe_time import observe_time
from jaxrl.envs.wrappers.resample_task import resample_params
from jaxrl.envs.wrappers.scalarise import scalarise
from jaxrl.envs.wrappers.set_reward import set_reward
from jaxrl.envs.wrappers.with_reward import with_reward

P, R = np.full((3, 2, 3), 1 / 3), np.zeros((3, 2))
EYE = np.eye(3)
SMALL = LEVELS["small"].__dict__


def broken_mdp(**fields):
    return lambda: validate(riverswim(3).replace(**fields))


def levels(**fields):
    return lambda: Levels(**{**SMALL, **fields})


CASES = {
    # tables
    "P is a matrix": (lambda: make_mdp(EYE, R), r"mdp\.P: shape \(3, 3\) is neither"),
    "R without reward_dim": (lambda: make_mdp(P, np.zeros((3, 2, 5))), "mdp.R: .* set reward_dim"),
    "R with a horizon, P without": (lambda: make_mdp(P, np.zeros((4, 3, 2))), "mdp.R: .* use time_indexed"),
    "rows that do not sum to 1": (lambda: make_mdp(0.9 * P, R), r"mdp\.P: row \(0, 0\) sums to 0\.9;"),
    "a negative probability": (lambda: make_mdp(P - EYE[:, None, :], R), r"mdp\.P: entry .* is -0\.667"),
    "NaN reward": (lambda: make_mdp(P, R * np.nan), r"mdp\.R: contains NaN"),
    "a discount above 1": (lambda: make_mdp(P, R, gamma=1.5), r"mdp\.gamma: must lie in \[0, 1\], got 1\.5"),
    "a start outside": (lambda: make_mdp(P, R, mu0=3), r"mu0: start state 3 is outside 0 \.\. 2"),
    "a start law of other length": (lambda: make_mdp(P, R, mu0=[0.5, 0.5]), r"mdp\.mu0: shape \(2,\)"),
    "a start in the end": (lambda: make_mdp(P, R, mu0=2, terminal=[2]), r"mu0: starts in terminal state 2"),
    "a terminal state outside": (lambda: make_mdp(P, R, terminal=[7]), "terminal: state 7 is outside"),
    "a terminal state that is left": (
        broken_mdp(terminal=np.array([False, True, False])),
        r"mdp\.P: a terminal state is left again",
    ),
    "terminal as indices": (broken_mdp(terminal=np.array([1])), r"mdp\.terminal: must be bool\[S\]"),
    "a horizon twice": (lambda: time_indexed(time_indexed(riverswim(3), 2), 2), "is time-indexed already"),
    "a horizon of 0": (lambda: time_indexed(riverswim(3), 0), "horizon: must be >= 1"),
    "a table without actions": (lambda: Tabular(3, 0), r"Tabular\.A: must be >= 1, got 0"),
    "more branches than states": (lambda: garnet(jax.random.key(0), 3, 2, 4), r"branching: must lie in 1"),
    "a chain of one": (lambda: chain(1), "length: must be >= 2"),
    "slip above 1": (lambda: chain(5, 1.2), r"slip: must be a probability in \[0, 1\], got 1\.2"),
    "a river of one": (lambda: riverswim(1), "S: must be >= 2"),
    "a walk of none": (lambda: random_walk(0), "n: must be >= 1"),
    "a ragged map": (lambda: gridworld(["S.", "..G"]), "layout: rows must be non-empty and equally long"),
    "a strange map": (lambda: gridworld(["S?G"]), r"layout: character '\?' is none of"),
    "a map without start": (lambda: gridworld(["..G"]), "layout: has no start"),
    # mixtures
    "phi of three axes": (
        lambda: make_mixture(np.ones((2, 2, 2)), [1.0]),
        r"mixture\.phi: shape \(2, 2, 2\)",
    ),
    "theta of other length": (lambda: make_mixture(np.ones((2, 1, 2, 3)), [1.0]), r"mixture\.theta: shape"),
    "a mixture that is no law": (
        lambda: make_mixture(np.ones((2, 1, 2, 1)), [1.0]),
        r"mixture\.phi \. theta: row \(0, 0\) sums to 2",
    ),
    "a lock with a wrong probability": (lambda: lock(3, 2, 1.1, 0), r"lock\.p_good: must be a probability"),
    "a mixture without features": (lambda: LinearMixture(3, 2, 0), r"LinearMixture\.d: must be >= 1"),
    # wrappers
    "H = 0": (lambda: finite_horizon(CartPole(), 0), r"finite_horizon\.H: must be >= 1, got 0"),
    "one-hot time beside an index": (
        lambda: finite_horizon(Tabular(3, 2), 5, one_hot=True),
        r"finite_horizon\.one_hot: needs observations float\[n\].*flatten_obs",
    ),
    "time without a limit": (
        lambda: observe_time(Tabular(3, 2)),
        r"observe_time\.scale: Tabular has no time",
    ),
    "history without items": (lambda: history(CartPole(), 3), r"history\.of: CartPole has no item"),
    "history of 0": (lambda: history(Tabular(3, 2), 0), r"history\.n: must be >= 1"),
    "a reward that is a number": (
        lambda: with_reward(CartPole(), 1.0),
        r"with_reward\.fn: must be a function",
    ),
    "scalarising a scalar": (lambda: scalarise(CartPole(), (1, 2)), r"scalarise\.env: CartPole has a scalar"),
    "two weights for three rewards": (
        lambda: scalarise(make("ResourceGathering"), (1, 2)),
        r"scalarise\.w: 2 weights for 3 reward components",
    ),
    "repeat 0": (lambda: action_repeat(CartPole(), 0), r"action_repeat\.k: must be >= 1"),
    "bins of discrete actions": (lambda: discretise(CartPole(), 3), r"discretise\.env: CartPole needs a Box"),
    "one bin": (lambda: discretise(Pendulum(), 1), r"discretise\.bins: must be >= 2"),
    "clipping discrete actions": (lambda: clip_action(CartPole()), r"clip_action\.env: CartPole needs a Box"),
    "tasks of a fixed environment": (
        lambda: resample_params(flatten_obs(CartPole())),
        r"resample_params\.env: FlattenObs\(CartPole\) has no sample_params",
    ),
    # set rewards
    "a set reward without items": (
        lambda: set_reward(CartPole(), Coverage(3)),
        r"set_reward\.env: CartPole has no item",
    ),
    "a set function without a fold": (
        lambda: set_reward(Tabular(3, 2), max),
        r"set_reward\.F: has no default",
    ),
    "coverage of nothing": (lambda: Coverage(0), r"Coverage\.n_items: must be >= 1"),
    "a universe of none": (lambda: FacilityLocation(3, 0), r"FacilityLocation\.n_universe: must be >= 1"),
    "modular over nothing": (lambda: Modular(0), r"Modular\.n_items: must be >= 1"),
    "no room for measurements": (lambda: LogDet(3, 0), r"LogDet\.capacity: must be >= 1"),
    "signed similarities": (lambda: similarities(-EYE), r"similarities\.matrix: has negative or NaN entries"),
    "an asymmetric kernel": (
        lambda: kernel_params(np.triu(np.ones((3, 3))), 1.0),
        r"kernel_params\.kernel: must be symmetric",
    ),
    "an indefinite kernel": (
        lambda: kernel_params(-EYE, 1.0),
        r"kernel_params\.kernel: has a negative eigen",
    ),
    "a kernel that noise does not mend": (
        lambda: kernel_params([[1, 1 + 5e-6], [1 + 5e-6, 1]], 1e-6),
        r"kernel_params\.kernel: has a negative eigen",
    ),
    "a kernel with NaN": (
        lambda: kernel_params(np.full((2, 2), np.nan), 1.0),
        r"kernel_params\.kernel: has entries that are not finite",
    ),
    "a kernel that is no square": (lambda: kernel_params(EYE[:2], 1.0), r"kernel_params\.kernel: shape"),
    "no noise": (lambda: kernel_params(EYE, 0.0), r"kernel_params\.noise: must be > 0"),
    # grid worlds, toys, catalogue, films
    "levels of negative side": (levels(side=(5, 4)), r"Levels\.side: must be \(low, high\)"),
    "more objects than kinds": (levels(used=(1, 9)), r"Levels\.used: 9 objects in play, but kinds has 3"),
    "an unknown kind": (levels(kinds=(0, 1, 3)), r"Levels\.kinds: must be types 0 \.\. 2"),
    "one range for three types": (levels(p_end=((0.1, 1.0),)), r"Levels\.p_end, p_respawn: must have one"),
    "log-uniform from 0": (levels(p_end=((0.0, 1.0),) * 3), r"Levels\.p_end: ranges must be \(p, p\) or 0 <"),
    "walls everywhere": (levels(random_walls=36), r"Levels\.random_walls: 36 walls leave no room"),
    "walls outside": (levels(designs=((36,),)), r"Levels\.designs: wall cells must lie in 0 \.\. 35"),
    "flat treasures": (lambda: DeepSeaTreasure("flat"), r"DeepSeaTreasure\.values: must be .* got 'flat'"),
    "an unknown environment": (
        lambda: make("Pendulun"),
        "'Pendulun' does not exist; did you mean 'Pendulum'",
    ),
    "a film in words": (
        lambda: save_film("x.txt", np.zeros((1, 2, 2, 3), np.uint8)),
        r"save_film\.path: must",
    ),
    "a film of floats": (lambda: save_film("x.gif", np.zeros((1, 2, 2, 3))), r"save_film\.pictures: must be"),
    "a film that stands still": (
        lambda: save_film("x.gif", np.zeros((1, 2, 2, 3), np.uint8), fps=0),
        r"save_film\.fps: must be > 0",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(name):
    call, sentence = CASES[name]
    with pytest.raises(UsageError, match=sentence) as error:
        call()
    assert "\n" not in str(error.value)
