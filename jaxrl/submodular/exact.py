"""Exact values of small problems rewarded by a set function: dynamic programming over (step, place, memory).

A trajectory's value depends on what it has visited, so the problem is unfolded into layers of nodes
(place, what F remembers). On the nodes best and greedy policies with full memory are dynamic programmes, and
the value of a Markov policy is a differentiable function of its table.

Legend: `V` places (states of the MDP), `A` actions, `m` successors of a place, `H` actions of an episode,
`states` = H + 1 visited states, `N` nodes of a layer, `U` elements of a universe. Host arrays are float64;
call the functions of policies inside `jax.enable_x64(True)`.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.types import Array
from jaxrl.envs.tabular.mdp import TabularMDP, validate

_TIE = 1e-12  # gains that differ by less are ties, so that rounding does not choose
_MOST_NODES = 5_000_000


@dataclass(frozen=True)
class Memory:
    """The memory of a set function as 64 bits; 0 is the empty set.

    add: `(codes [N], places int[N]) -> codes [N]`; value: `codes [N] -> float64[N]`; n_places: V.
    """

    add: Callable[[np.ndarray, np.ndarray], np.ndarray]
    value: Callable[[np.ndarray], np.ndarray]
    n_places: int

    def alone(self, n_places: int) -> np.ndarray:
        """float64[V], F({v}) of every place v alone."""
        return self.value(self.add(np.zeros(n_places, np.uint64), np.arange(n_places)))


def covered(covers: np.ndarray, weight: np.ndarray) -> Memory:
    """Weighted coverage, `covers` bool[V, U], `weight` [U]: the elements covered. U is at most 64.

    Raises `UsageError` for other sizes and for weights that are negative, NaN or infinite.
    """
    n = covers.shape[1]
    _check_bits("covered.covers", n)
    weight = np.asarray(weight, np.float64)
    if weight.shape != (n,) or not np.all((weight >= 0) & (weight < np.inf)):
        raise UsageError(f"covered.weight: must be {n} finite weights >= 0, one per column of covers")
    masks = (covers.astype(np.uint64) << np.arange(n, dtype=np.uint64)).sum(1, dtype=np.uint64)

    def value(codes: np.ndarray) -> np.ndarray:
        return _bits(codes, n) @ weight

    return Memory(lambda codes, places: codes | masks[places], value, len(covers))


def visited(n_places: int, f: Callable[[tuple[int, ...]], float]) -> Memory:
    """Any F of the set of places, `f(places, ascending)`: the places visited. V is at most 64."""
    _check_bits("visited.n_places", n_places)
    cached = functools.cache(f)

    def value(codes: np.ndarray) -> np.ndarray:
        return np.array([cached(tuple(np.flatnonzero(row).tolist())) for row in _bits(codes, n_places)])

    return Memory(lambda codes, places: codes | (np.uint64(1) << places.astype(np.uint64)), value, n_places)


def counted(n_places: int, states: int, f: Callable[[tuple[int, ...]], float]) -> Memory:
    """Any F in which a revisit counts again, `f(places, ascending, with repetitions)`: the number of visits.

    V times the bits of `states` is at most 64.
    """
    width = int(states).bit_length()
    _check_bits("counted.n_places", n_places * width)
    cached = functools.cache(f)
    shift = np.uint64(width) * np.arange(n_places, dtype=np.uint64)

    def value(codes: np.ndarray) -> np.ndarray:
        counts = ((codes[:, None] >> shift) & np.uint64(2**width - 1)).astype(int)
        return np.array([cached(tuple(np.repeat(np.arange(n_places), row).tolist())) for row in counts])

    return Memory(lambda codes, places: codes + (np.uint64(1) << shift[places]), value, n_places)


class Layer(NamedTuple):
    """Nodes of one step. place: int[N]; child: int[N, m], nodes of the next layer; probability: float[N, A,
    m]; gain: float[N, m], what moving to each child pays.
    """

    place: np.ndarray
    child: np.ndarray
    probability: np.ndarray
    gain: np.ndarray


class Unfolded(NamedTuple):
    """A problem unfolded into layers of nodes, each a place and a memory.

    start: float[N], chances of first nodes; first: float[N], their values; layers: steps 0 to H - 1.
    """

    start: np.ndarray
    first: np.ndarray
    layers: tuple[Layer, ...]


def unfold(mdp: TabularMDP, memory: Memory, states: int, bonus: np.ndarray | None = None) -> Unfolded:
    """All nodes that some policy can reach in `states` visited states, the first included.

    mdp: its states are the places; its rewards are not read. bonus: float[states, V], modular part of F,
    paid to visits by time and place. Raises `UsageError` for fewer than 2 states, for a horizon of the tables
    that is not states - 1, for a bonus of another shape, for a memory of another number of places, and above
    5 million nodes in a layer.
    """
    validate(mdp)
    if states < 2:
        raise UsageError(f"unfold.states: must be >= 2 visited states, got {states}")
    if mdp.horizon not in (None, states - 1):
        raise UsageError(
            f"unfold.states: {states} visited states take {states - 1} actions, but the tables have H = "
            f"{mdp.horizon}"
        )
    P = np.asarray(mdp.P, np.float64)
    P = np.broadcast_to(P / P.sum(-1, keepdims=True), (states - 1, *P.shape[-3:]))
    start = np.asarray(mdp.mu0, np.float64)
    extra = np.zeros((states, P.shape[-1])) if bonus is None else np.asarray(bonus, np.float64)
    if extra.shape != (states, P.shape[-1]):
        raise UsageError(f"unfold.bonus: shape {extra.shape} is not [states, V] = {(states, P.shape[-1])}")
    if memory.n_places != P.shape[-1]:
        raise UsageError(
            f"unfold.memory: knows {memory.n_places} places, the tables have {P.shape[-1]}; make it of all"
        )

    place = np.flatnonzero(start)
    code = memory.add(np.zeros(len(place), np.uint64), place)
    worth = memory.value(code)
    p_start, first = start[place] / start.sum(), worth + extra[0, place]
    layers = []
    for h in range(states - 1):
        successor, probability = successors(P[h])
        to = successor[place]
        codes = memory.add(np.repeat(code, to.shape[1]), to.ravel())
        after_place, after_code, child = _distinct(to.ravel(), codes)
        if len(after_place) > _MOST_NODES:
            raise UsageError(f"unfold.states: more than {_MOST_NODES} nodes at step {h + 1}; take fewer")
        after_worth = memory.value(after_code)
        child = child.reshape(to.shape)
        gain = after_worth[child] - worth[:, None] + extra[h + 1][to]
        layers.append(Layer(place, child, probability[place], gain))
        place, code, worth = after_place, after_code, after_worth
    return Unfolded(p_start, first, tuple(layers))


# --- policies with memory ---------------------------------------------------------------------------------


def best_value(problem: Unfolded) -> float:
    """E[F] of the best policy, which may remember everything."""
    return _backward(problem, lambda myopic, far: far.max(1))


def greedy_value(problem: Unfolded) -> float:
    """E[F] of the policy that maximises the expected gain of the next step; the lowest action of equals."""

    def choose(myopic: np.ndarray, far: np.ndarray) -> np.ndarray:
        action = np.argmax(myopic >= myopic.max(1, keepdims=True) - _TIE, axis=1)
        return np.take_along_axis(far, action[:, None], 1)[:, 0]

    return _backward(problem, choose)


def count_best(problem: Unfolded) -> int:
    """Number of optimal action sequences; raises `UsageError` unless moves and start are certain."""
    if len(problem.start) > 1 or any(np.any(layer.probability.max(-1) < 1) for layer in problem.layers):
        raise UsageError("count_best.problem: moves or start are random; take slip 0 and one first place")
    value = [np.zeros(problem.layers[-1].child.max() + 1)]
    number = [np.array([1] * len(value[0]), object)]
    for layer in reversed(problem.layers):
        score = (layer.probability * (layer.gain + value[-1][layer.child])[:, None]).sum(-1)
        of = layer.probability.argmax(-1)
        best = score.max(1, keepdims=True)
        ways = number[-1][np.take_along_axis(layer.child, of, 1)]
        number.append(np.where(score >= best - _TIE, ways, 0).sum(1))
        value.append(best[:, 0])
    return int(number[-1][0])


def _backward(problem: Unfolded, choose: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """choose: `(expected gain [N, A], expected gain to go [N, A]) -> value [N]`, last layer first."""
    value = np.zeros(problem.layers[-1].child.max() + 1)
    for layer in reversed(problem.layers):
        myopic = np.einsum("nam,nm->na", layer.probability, layer.gain)
        value = choose(myopic, myopic + np.einsum("nam,nm->na", layer.probability, value[layer.child]))
    return float(problem.start @ (problem.first + value))


# --- Markov policies --------------------------------------------------------------------------------------


def policy_value(policy: Array | np.ndarray, problem: Unfolded) -> Array | float:
    """float[...], E[F] of Markov policies, probabilities `[..., H, V, A]`; of a host array on the host.

    Of a jax array differentiable, and the gradient is exact.

    Equation: prajapat2024submodular [objective]
    """
    xp = np if isinstance(policy, np.ndarray) else jnp
    value = xp.zeros((*policy.shape[:-3], problem.layers[-1].child.max() + 1))
    for h, layer in reversed(list(enumerate(problem.layers))):
        far = xp.einsum("nam,...nm->...na", layer.probability, layer.gain + value[..., layer.child])
        value = xp.sum(policy[..., h, layer.place, :] * far, -1)
    return (problem.first + value) @ problem.start


def myopic_value(policy: Array, problem: Unfolded) -> Array:
    """float[], of which only the gradient has a meaning: every action is credited with its own gain alone.

    policy: `[H, V, A]`. The gradient is E[sum_h grad log pi(a_h | .) F(s_{h+1} | tau_{0:h})], the mean of the
    estimators with `marginal` and with `prefix` credit, which is not the gradient of any E[F].
    """
    here, total = jnp.asarray(problem.start), problem.start @ problem.first
    for h, layer in enumerate(problem.layers):
        pi = policy[h, layer.place]
        gain = jnp.einsum("nam,nm->na", layer.probability, layer.gain)
        total += jnp.sum(jax.lax.stop_gradient(here)[:, None] * pi * gain)
        flow = here[:, None] * jnp.einsum("na,nam->nm", pi, layer.probability)
        here = jnp.zeros(layer.child.max() + 1, policy.dtype).at[layer.child].add(flow)
    return total


def uniform_policy(problem: Unfolded, n_places: int) -> np.ndarray:
    """float64[H, V, A], every action with the same probability."""
    n_actions = problem.layers[0].probability.shape[1]
    return np.full((len(problem.layers), n_places, n_actions), 1 / n_actions)


def best_markov_value(problem: Unfolded, n_places: int, most: int = 200_000) -> float:
    """E[F] of the best Markov policy: all deterministic tables on the pairs (h, v) that can be reached.

    A deterministic one is among the best, because E[F] is linear in the policy at each (h, v). Raises
    `UsageError` when there are more than `most`.
    """
    n_actions = problem.layers[0].probability.shape[1]
    pairs = [(h, int(v)) for h, layer in enumerate(problem.layers) for v in np.unique(layer.place)]
    if n_actions ** len(pairs) > most:
        raise UsageError(
            f"best_markov_value: {n_actions}^{len(pairs)} policies are more than {most}; take a smaller one"
        )
    h, v = np.array(pairs).T
    best, rest = -np.inf, itertools.product(range(n_actions), repeat=len(pairs))
    while chunk := list(itertools.islice(rest, 4096)):
        tables = np.zeros((len(chunk), len(problem.layers), n_places, n_actions))
        tables[:, h, v] = np.eye(n_actions)[np.array(chunk)]
        best = max(best, float(policy_value(tables, problem).max()))
    return best


def modular_policy(mdp: TabularMDP, reward: np.ndarray, states: int) -> tuple[np.ndarray, float]:
    """`(actions int[H, V], value)` of the MDP that pays `reward` [V] or [states, V] on every visit, also s_0.

    With reward F({v}) this is the modular upper bound of the problem. Ties go to the lowest action. Raises
    `UsageError` for a reward of another shape.
    """
    if np.shape(reward) not in ((mdp.n_states,), (states, mdp.n_states)):
        raise UsageError(
            f"modular_policy.reward: shape {np.shape(reward)} is neither [V] nor [states, V] = "
            f"{(states, mdp.n_states)}"
        )
    P = np.asarray(mdp.P, np.float64)
    P = np.broadcast_to(P / P.sum(-1, keepdims=True), (states - 1, *P.shape[-3:]))
    reward = np.broadcast_to(np.asarray(reward, np.float64), (states, P.shape[-1]))
    value, actions = reward[-1], []
    for h in reversed(range(states - 1)):
        score = P[h] @ value
        actions.append(np.argmax(score >= score.max(1, keepdims=True) - _TIE, axis=1))
        value = reward[h] + score.max(1)
    mu0 = np.asarray(mdp.mu0, np.float64)
    return np.stack(actions[::-1]), float(mu0 / mu0.sum() @ value)


# --- codes ------------------------------------------------------------------------------------------------


def successors(P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(successor int[V, m], probability [V, A, m])` of a table `[V, A, V]`; padding has probability 0."""
    reached = (P > 0).any(1)
    m = int(reached.sum(1).max())
    successor = np.argsort(~reached, axis=1, kind="stable")[:, :m]
    # a padded successor is replaced by the first one, so that it adds no node
    padded = ~np.take_along_axis(reached, successor, 1)
    probability = np.take_along_axis(P, successor[:, None, :], 2) * ~padded[:, None]
    return np.where(padded, successor[:, :1], successor), probability


def _distinct(place: np.ndarray, code: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct pairs, and for each given pair its index among them."""
    order = np.lexsort((code, place))
    new = np.ones(len(order), bool)
    new[1:] = (np.diff(place[order]) != 0) | (code[order][1:] != code[order][:-1])
    index = np.empty(len(order), int)
    index[order] = np.cumsum(new) - 1
    return place[order][new], code[order][new], index


def _bits(codes: np.ndarray, n: int) -> np.ndarray:
    """bool[N, n], the bits of `codes` [N], the lowest first."""
    return (codes[:, None] >> np.arange(n, dtype=np.uint64)) & np.uint64(1) == 1


def _check_bits(field: str, n: int) -> None:
    if not 1 <= n <= 64:
        raise UsageError(f"{field}: needs {n} bits of memory, 1 to 64 are possible; take a smaller problem")
