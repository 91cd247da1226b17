"""One update of a tabular explorer is one episode, then a new index; what the methods share.

A method gives a function `plan`: from counts to an index Q_h(s, a), in which episodes are greedy, and where
it has one a certificate, a bound on the planning error for every reward. Ties of the index are broken at
random; with counts of 0 all actions tie. Exploration stops when the certificate is at most `Hyper.epsilon`.

Random numbers enter as uniforms, and the learner reads the true kernel only through `env.step_u`.

Legend: `S` states, `A` actions, `H` stages, `G` groups of stages (`counts.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import stream
from jaxrl.core.spaces import Discrete
from jaxrl.core.types import Algorithm, Array, Key, Origin, Policy, PyTree
from jaxrl.envs.tabular.linear_mixture import LinearMixture
from jaxrl.envs.tabular.mdp import validate
from jaxrl.envs.tabular.mixture import LinearMixtureMDP, validate_mixture
from jaxrl.envs.tabular.tabular import Tabular
from jaxrl.reward_free.episodes import run
from jaxrl.reward_free.tabular.counts import Pooling, no_counts, recorded, visits
from jaxrl.reward_free.tabular.fields import check_horizon
from jaxrl.reward_free.tabular.planning import best, pick

Env = Tabular | LinearMixture
Plan = Callable[[Array, Any, PyTree], tuple[Array, Any]]
Choose = Callable[[Array, Array, Array], Array]


class State(NamedTuple):
    """State of a tabular explorer.

    counts: int32[G, S, A, S]. index: float[H, S, A], in which the next episode is greedy. certificate:
    float[], the bound on the planning error after these episodes, () where the method has none. certified:
    int32[], episodes until the certificate was at most epsilon, -1 before; () likewise. key: constant.
    updates: int32[], episodes, those after the stop included.
    """

    counts: Array
    index: Array
    certificate: Any
    certified: Any
    key: Key
    updates: Array


class Uniforms(NamedTuple):
    """Uniform numbers of one episode: start [], steps [H], and ties [H, A] to choose among equal actions."""

    start: Array
    steps: Array
    ties: Array


def uniforms(key: Key, size: int, A: int) -> Uniforms:
    """The numbers of an episode of up to `size` stages; those of its first stages depend on the key alone."""
    start, steps, ties = jax.random.split(key, 3)
    dtype = jnp.result_type(float)
    return Uniforms(
        jax.random.uniform(start, (), dtype),
        jax.random.uniform(steps, (size,), dtype),
        jax.random.uniform(ties, (size, A), dtype),
    )


def rollout(env: Env, data: PyTree, choose: Choose, horizon: Array, numbers: Uniforms) -> tuple[Array, Array]:
    """States int32[H + 1] and actions int32[H] of one episode of `horizon` int32[] stages from `mu0`.

    choose: `(h, s, ties [A]) -> action`. There is no reset and no limit inside; later entries are 0.
    """
    size, u = len(numbers.steps), jnp.concatenate([numbers.start[None], numbers.steps])

    def put(carry: tuple[Array, Array], h: Array, pair: Array, after: Array) -> tuple[Array, Array]:
        states, actions = carry
        states = states.at[h].set(pair // env.A).at[h + 1].set(after)
        return states, actions.at[h].set(pair % env.A)

    none = (jnp.zeros(size + 1, jnp.int32), jnp.zeros(size, jnp.int32))
    return run(env, lambda h, s: choose(h, s, numbers.ties[h]), none, horizon, data, u, put)


def greedy_in(index: Array) -> Choose:
    """The choice of a best action of an index `[H, S, A]`, ties at random."""
    return lambda h, s, ties: pick(index[h, s], ties)


def explorer(module: str, config: Any, env: Env, pooling: Pooling, plan: Plan) -> Algorithm:
    """The algorithm of a method that plans on counts.

    config: has `horizon`, the largest number of stages; hyper has `horizon` and, where `plan` returns a
    certificate, `epsilon`. plan: `(counts, hyper, mu0) -> (index, certificate or ())`.
    """
    check_env(env)
    size = config.horizon

    def init(key: Key, hyper: Any, data: PyTree) -> State:
        check_sizes(env, data)
        counts = no_counts(pooling, size, env.S, env.A)
        index, certificate = plan(counts, hyper, data.mu0)
        certified = jax.tree.map(lambda bound: _first(bound <= hyper.epsilon), certificate)
        return State(counts, index, certificate, certified, key, jnp.zeros((), jnp.int32))

    def explore(state: State, hyper: Any, data: PyTree) -> State:
        numbers = uniforms(stream(state.key, state.updates), size, env.A)
        states, actions = rollout(env, data, greedy_in(state.index), hyper.horizon, numbers)
        counts = recorded(state.counts, states, actions, hyper.horizon)
        index, certificate = plan(counts, hyper, data.mu0)
        return state._replace(counts=counts, index=index, certificate=certificate)

    def step(state: State, hyper: Any, data: PyTree) -> tuple[State, dict[str, Array]]:
        if isinstance(state.certificate, tuple):
            after = explore(state, hyper, data)
        else:
            on = state.certified < 0
            after = jax.lax.cond(on, explore, lambda state, *_: state, state, hyper, data)
            stops = on & (after.certificate <= hyper.epsilon)
            after = after._replace(certified=jnp.where(stops, state.updates + 1, state.certified))
        metrics = {"pairs": visited(after.counts)}
        if not isinstance(after.certificate, tuple):
            metrics |= {"certificate": after.certificate, "certified": after.certified}
        return after._replace(updates=state.updates + 1), metrics

    return assembled(module, config, env, init, step, lambda state: state.index)


def assembled(
    module: str, config: Any, env: Env, init: Any, step: Any, index: Callable[[Any], Array]
) -> Algorithm:
    """The algorithm whose exploration policy is greedy in `index(state)` `[H, S, A]`, for `finite_horizon`.

    Greedy actions are the lowest of the best, others one of the best at random.
    """

    def lowest(index: Array, key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        h = jnp.minimum(obs["h"], config.horizon - 1)
        return jnp.argmax(best(index[h, obs["obs"]])).astype(jnp.int32), (), memory

    def random(index: Array, key: Key, obs: PyTree, memory: PyTree) -> tuple[Array, tuple[()], PyTree]:
        h = jnp.minimum(obs["h"], config.horizon - 1)
        return pick(index[h, obs["obs"]], jax.random.uniform(key, (env.A,))), (), memory

    def act(state: Any, hyper: Any, greedy: bool) -> Policy:
        return Policy(Partial(lowest if greedy else random, index(state)))

    space = {"obs": env.observation_space, "h": Discrete(config.horizon + 1)}
    origin = Origin(module, config, space, env.action_space, env)
    return Algorithm(
        init,
        step,
        act,
        check=lambda data: check_data(env, data),
        check_hyper=lambda hyper, data: check_horizon(config, hyper),
        origin=origin,
    )


def _first(stops: Array) -> Array:
    return jnp.where(stops, 0, -1).astype(jnp.int32)


def visited(counts: Array) -> Array:
    """float[], the number of pairs of which counts `[G, S, A, S]` hold a visit at any stage."""
    return (visits(counts).sum(0) > 0).sum().astype(jnp.result_type(float))


def check_env(env: Env) -> None:
    """Raises `UsageError` for a simulator of tables that change with the step, or of one-hot observations."""
    if env.H is not None:
        raise UsageError(f"env.H: must be None, got {env.H}; tabular explorers are for stationary kernels")
    if getattr(env, "one_hot", False):
        raise UsageError("env.one_hot: must be False; tabular explorers read the index of the state")


def check_data(env: Env, data: PyTree) -> None:
    """Raises `UsageError` for tables that are none, or of other sizes than the learner."""
    check_sizes(env, data)
    if isinstance(data, LinearMixtureMDP):
        validate_mixture(data)
    else:
        validate(data)


def check_sizes(env: Env, data: PyTree) -> None:
    """Raises `UsageError` for tables of other sizes than the learner, or that change with the step."""
    found = (data.n_states, data.n_actions, data.horizon)
    if found != (env.S, env.A, None):
        raise UsageError(
            f"data: S, A, H = {found[0]}, {found[1]}, {found[2]} given to a learner for {env.S}, {env.A},"
            f" None; make the learner with {type(env).__name__}.of(data)"
        )
