"""The contract of environments as one function: the rest of the library relies on what it checks.

The rules stand in `jaxrl.envs.base`. Four are about meaning: `single_env`, which is checked as far as shapes
show it, and `drawn_observations`, `termination` and `gradients`, which are not checked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.core.errors import UsageError
from jaxrl.core.prng import streams
from jaxrl.core.spaces import Box, Discrete, contains, is_space, sample
from jaxrl.core.tree import tree_where
from jaxrl.core.types import Array, Key, PyTree, Step
from jaxrl.envs.base import Env, HasTimeLimit, Renders, RewardFn, SamplesParams, float_dtype

_LANES, _STEPS = 4, 250  # 1,000 steps of random actions
_BOOKKEEPING = ("truncat", "final_obs", "terminal_obs", "episode", "return", "elapsed", "key", "rng", "state")


def check_env(
    env: Env,
    params: PyTree = None,
    key: Key | None = None,
    *,
    inert: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> None:
    """Runs `env` for 1,000 steps of random actions and inspects its programs; silent if it keeps the rules.

    params: default the environment's own. inert: leaves of `Params` that 1,000 random steps need not show,
    by a part of their path (the discount of a `TabularMDP`, a goal out of reach). skip: rules not to check,
    such as "dtypes" for foreign physics in one precision.

    Raises `UsageError`, one sentence that begins with the environment and the rule it breaks.
    """
    key = jax.random.key(0) if key is None else key
    rule = _Rules(env, frozenset(skip))
    _check_object(env, rule)
    params = env.default_params() if params is None else params
    _check_params(params, rule)
    shapes = _check_programs(env, params, key, rule)
    _check_spaces(env, shapes, rule)
    _check_capabilities(env, params, key, shapes, rule)
    _check_purity(env, params, key, rule)
    _check_precision(env, params, shapes, rule)
    _check_behaviour(env, params, key, tuple(inert), rule)


class _Rules(NamedTuple):
    env: Env
    skip: frozenset[str]

    def __call__(self, rule: str, holds: Any, sentence: str) -> None:
        if rule not in self.skip and not bool(holds):
            raise UsageError(f"{type(self.env).__name__}, rule {rule}: {sentence}")


class _Shapes(NamedTuple):
    """Abstract results of `reset` and `step`."""

    state: PyTree
    obs: PyTree
    out: Step


def _check_object(env: Env, rule: _Rules) -> None:
    frozen = dataclasses.is_dataclass(env) and env.__dataclass_params__.frozen  # pyright: ignore
    rule("static_fields", frozen, "is not a frozen dataclass")
    for field in dataclasses.fields(env):  # pyright: ignore[reportArgumentType]
        value = getattr(env, field.name)
        arrays = [x for x in jax.tree.leaves(value) if isinstance(x, jax.Array | np.ndarray)]
        rule("static_fields", not arrays, f"field {field.name} holds an array; numbers are leaves of Params")
    try:
        hash(env)
    except TypeError as error:
        rule("static_fields", False, f"is not hashable ({error}); use numbers and tuples as fields")
    rule("static_fields", dataclasses.replace(env) == env, "does not compare by value")  # pyright: ignore


def _check_params(params: PyTree, rule: _Rules) -> None:
    for path, leaf in jax.tree.leaves_with_path(params):
        name = jax.tree_util.keystr(path)
        rule(
            "static_fields",
            isinstance(leaf, jax.Array),
            f"Params{name} is {type(leaf).__name__}, not an array",
        )
        rule("stable_state", not leaf.weak_type, f"Params{name} is weakly typed; give its dtype explicitly")


def _check_programs(env: Env, params: PyTree, key: Key, rule: _Rules) -> _Shapes:
    state, obs = _traced(lambda: jax.eval_shape(env.reset, key, params), "reset", rule)
    action = sample(env.action_space, key)

    def trace(state: PyTree) -> tuple[PyTree, Step]:
        return _traced(lambda: jax.eval_shape(env.step, key, state, action, params), "step", rule)

    after, out = trace(state)
    rule("stable_state", isinstance(out, Step), f"step returns {type(out).__name__}, not (state, Step)")
    _same(state, after, "the state", rule)
    _same(obs, out.obs, "the observation", rule)
    for path, leaf in jax.tree.leaves_with_path(state):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        rule("typed_keys", not is_key, f"the state{jax.tree_util.keystr(path)} is a key; keys are arguments")

    terminated = out.terminated
    ok = terminated.shape == () and terminated.dtype == bool
    rule("stable_state", ok, f"terminated is {terminated.dtype}{list(terminated.shape)}, not bool[]")
    shape = () if env.reward_dim is None else (env.reward_dim,)
    ok = out.reward.shape == shape
    rule(
        "single_env",
        ok,
        f"reward has shape {out.reward.shape}, not {shape} as reward_dim {env.reward_dim} says",
    )
    ok = jnp.issubdtype(out.reward.dtype, jnp.floating) and not out.reward.weak_type
    rule("stable_state", ok, f"reward is {_describe(out.reward)}, not a strongly typed float")

    rule("info", isinstance(out.info, dict), f"info is {type(out.info).__name__}, not a dict")
    for name in out.info:
        ok = not any(word in str(name).lower() for word in _BOOKKEEPING)
        rule("info", ok, f"info[{name!r}] is bookkeeping; episodes and keys belong to the rollout")
    _, again = trace(after)
    rule("info", set(again.info) == set(out.info), "the keys of info change from step to step")
    return _Shapes(state, obs, out)


def _traced(trace: Callable[[], Any], what: str, rule: _Rules) -> Any:
    try:
        pair = trace()
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        first = str(error).splitlines()[0]
        rule("static_fields", False, f"{what} needs a concrete number, so it cannot be compiled ({first})")
        raise
    if not isinstance(pair, tuple) or len(pair) != 2:
        wanted = {"reset": "(state, observation)", "step": "(state, Step)"}[what]
        rule("stable_state", False, f"{what} returns {type(pair).__name__}, not {wanted}")
    return pair


def _check_spaces(env: Env, shapes: _Shapes, rule: _Rules) -> None:
    for name, space in (("observation", env.observation_space), ("action", env.action_space)):
        for leaf in jax.tree.leaves(space, is_leaf=is_space):
            ok = isinstance(leaf, Discrete | Box)
            rule("single_env", ok, f"{name}_space holds {type(leaf).__name__}, not Discrete or Box")
    spaces, tree = jax.tree.flatten(env.observation_space, is_leaf=is_space)
    same = jax.tree.structure(shapes.obs) == tree
    rule("single_env", same, "observations are not nested as observation_space is")
    for space, obs in zip(spaces, jax.tree.leaves(shapes.obs), strict=True):
        kind = np.floating if np.issubdtype(space.dtype, np.floating) else space.dtype
        ok = obs.shape == space.shape and jnp.issubdtype(obs.dtype, kind)
        rule("single_env", ok, f"an observation is {_describe(obs)}, which is not in {space}")


def _check_capabilities(env: Env, params: PyTree, key: Key, shapes: _Shapes, rule: _Rules) -> None:
    """What optional methods return, from their programs; nothing is computed."""

    def result(name: str, *args: Any) -> Any:
        raw = []
        try:
            jax.eval_shape(lambda *given: raw.append(getattr(env, name)(*given)), *args)
        except Exception as error:  # whatever the method of a user raises
            first = str(error).partition("\n")[0]
            rule("capabilities", False, f"{name} cannot be compiled ({type(error).__name__}: {first})")
        return raw[0]

    def expect(name: str, found: Any, dtype: Any, shape: tuple[int | None, ...], wanted: str) -> None:
        known = isinstance(found, jax.Array | np.ndarray)
        kind = f"{found.dtype}{list(found.shape)}" if known else type(found).__name__
        fits = known and len(found.shape) == len(shape) and jnp.issubdtype(found.dtype, dtype)
        fits = fits and all(want in (None, have) for want, have in zip(shape, found.shape, strict=True))
        rule("capabilities", fits, f"{name} returns {kind}, not {wanted}")

    if "capabilities" in rule.skip:
        return
    if isinstance(env, HasTimeLimit):
        expect("time_limit", result("time_limit", params), jnp.int32, (), "int32[]")
    if isinstance(env, Renders):
        picture = result("render", shapes.state, params)
        expect("render", picture, jnp.uint8, (None, None, 3), "a picture uint8[H, W, 3]")
    if isinstance(env, RewardFn):
        reward = result("reward", params, shapes.state, sample(env.action_space, key), shapes.state)
        expected = shapes.out.reward
        expect("reward", reward, expected.dtype, expected.shape, f"{_describe(expected)} as step does")
    if isinstance(env, SamplesParams):
        one, two = (
            jax.tree.map(lambda x: (x.shape, x.dtype), x) for x in (result("sample_params", key), params)
        )
        rule("capabilities", one == two, "sample_params and default_params differ in structure or shapes")


def _check_purity(env: Env, params: PyTree, key: Key, rule: _Rules) -> None:
    before = dict(vars(env))
    programs = [_program(env, params, key) for _ in range(2)]
    rule("purity", vars(env) == before, "reset or step changes the environment object")
    (one, consts), (two, again) = programs
    same = one == two and all(np.array_equal(a, b) for a, b in zip(consts, again, strict=True))
    rule("purity", same, "two traces differ: host randomness or a side effect")


def _program(env: Env, params: PyTree, key: Key) -> tuple[str, list[np.ndarray]]:
    def both(key: Key, params: PyTree) -> PyTree:
        state, _ = env.reset(key, params)
        return env.step(key, state, sample(env.action_space, key), params)

    jaxpr = jax.make_jaxpr(both)(key, params)
    return str(jaxpr), [
        np.asarray(c) for c in jaxpr.consts if not jnp.issubdtype(c.dtype, jax.dtypes.prng_key)
    ]


def _check_precision(env: Env, params: PyTree, shapes: _Shapes, rule: _Rules) -> None:
    _check_dtypes(shapes, float_dtype(params), "", rule)
    if "dtypes" in rule.skip:
        return
    with jax.enable_x64(True):
        for dtype in (jnp.float32, jnp.float64):
            cast = jax.tree.map(lambda x, d=dtype: x.astype(d) if _is_float(x) else x, params)
            state, obs = jax.eval_shape(env.reset, jax.random.key(0), cast)
            action = sample(env.action_space, jax.random.key(0))
            _, out = jax.eval_shape(env.step, jax.random.key(0), state, action, cast)
            where = f" under enable_x64 with {dtype.__name__} Params"
            _check_dtypes(_Shapes(state, obs, out), float_dtype(cast), where, rule)


def _check_dtypes(shapes: _Shapes, expected: Any, where: str, rule: _Rules) -> None:
    allowed = {jnp.dtype(d) for d in (expected, jnp.int32, jnp.bool_, jnp.uint8)}
    for path, leaf in jax.tree.leaves_with_path(shapes._asdict()):
        name = jax.tree_util.keystr(path)
        ok = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) or jnp.dtype(leaf.dtype) in allowed
        rule("dtypes", ok, f"{name} is {leaf.dtype}{where}; floats are {jnp.dtype(expected)}, integers int32")


class _Trace(NamedTuple):
    """What random actions showed in one lane; `[T]` unless said otherwise.

    emitted: float32, a weighted sum of observation, reward and info. ending: `(key data, state, action)` of
    the last terminating step, without axis.
    """

    emitted: Array
    terminated: Array
    contained: Array
    finite: Array
    ending: PyTree


def _lane(env: Env, key: Key, params: PyTree) -> _Trace:
    """250 steps, restarted at terminations and every 100 steps."""

    def body(carry: tuple[PyTree, Array, PyTree], row: tuple[Key, Array]) -> tuple[Any, Any]:
        state, begins, ending = carry
        key, t = row
        k_act, k_env, k_reset = jax.random.split(key, 3)
        fresh, obs = env.reset(k_reset, params)
        state = tree_where(begins, fresh, state)
        action = sample(env.action_space, k_act)
        after, out = env.step(k_env, state, action, params)
        ending = tree_where(out.terminated, (jax.random.key_data(k_env), state, action), ending)
        contained = contains(env.observation_space, out.obs) & contains(env.observation_space, obs)
        emitted = _signature((out.obs, out.reward, out.info, obs))
        shown = (emitted, out.terminated, contained, jnp.all(jnp.isfinite(out.reward)))
        return (after, out.terminated | (t % 100 == 99), ending), shown

    state, _ = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(env.reset, key, params))
    ending = (jax.random.key_data(key), state, sample(env.action_space, key))
    rows = (streams(key, _STEPS), jnp.arange(_STEPS))
    (*_, ending), traces = jax.lax.scan(body, (state, jnp.asarray(True), ending), rows)
    return _Trace(*traces, ending)


def _check_behaviour(env: Env, params: PyTree, key: Key, inert: tuple[str, ...], rule: _Rules) -> None:
    names, variants = _variants(params, "no_derived_params" not in rule.skip)
    keys = jax.random.split(key, _LANES)

    def run(params: PyTree, variant: Array) -> tuple[_Trace, Array]:
        limit = env.time_limit(params) if isinstance(env, HasTimeLimit) else variant * 0
        return jax.vmap(lambda k: _lane(env, k, params))(keys), limit

    batch = (variants, jnp.arange(len(names)))
    compiled = (
        jax.jit(jax.vmap(run))
        .lower(*batch)
        .compile({"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True})
    )
    (trace, limits), (again, _) = jax.tree.map(np.asarray, (compiled(*batch), compiled(*batch)))
    emitted, terminated = trace.emitted, trace.terminated
    if isinstance(env, HasTimeLimit):
        rule("capabilities", limits[0] >= 1, f"time_limit is {limits[0]}; an episode has at least one step")
    rule("purity", np.array_equal(emitted, again.emitted, equal_nan=True), "is not deterministic")
    rule("single_env", np.all(trace.contained[0]), "an observation left observation_space within 1,000 steps")
    rule("single_env", np.all(trace.finite[0]), "a reward was not finite within 1,000 steps")

    for name in dict.fromkeys(names[1:]):
        own = [i for i, x in enumerate(names) if x == name]
        lives = any(not np.array_equal(emitted[0], emitted[i], equal_nan=True) for i in own)
        ends = any(not np.array_equal(terminated[0], terminated[i]) for i in own)
        limited = any(limits[i] != limits[0] for i in own)
        rule(
            "termination",
            not (ends and limited),
            f"Params{name} sets the time limit and also terminates episodes",
        )
        used = lives or ends or limited or any(part in name for part in inert)
        rule(
            "no_derived_params",
            used,
            f"Params{name} changes nothing: it is unused, or what derives from it is a leaf too",
        )

    for lane in np.flatnonzero(terminated[0].any(1))[:1]:
        data, state, action = jax.tree.map(lambda x, i=lane: x[0, i], trace.ending)
        k_env = jax.random.wrap_key_data(data, impl=jax.random.key_impl(key))
        _check_ending(env, k_env, state, action, params, rule)


def _check_ending(env: Env, key: Key, state: PyTree, action: PyTree, params: PyTree, rule: _Rules) -> None:
    """Refuses a step that resets: by its own key, or by a split of it, as all published ones do."""
    guesses = jnp.concatenate([key[None], jax.random.split(key), jax.random.split(key, 3)])
    reset = jax.jit(env.reset)
    starts = [jax.tree.leaves(reset(guess, params)[0]) for guess in guesses]
    after = jax.tree.leaves(jax.jit(env.step)(key, state, action, params)[0])
    random = any(not np.array_equal(x, y) for one in starts for x, y in zip(one, starts[0], strict=True))
    equal = [all(map(np.array_equal, one, after)) for one in starts]
    rule(
        "no_reset", not (random and any(equal)), "step resets at a termination; that is for the rollout to do"
    )


def _variants(params: PyTree, perturb: bool) -> tuple[list[str], PyTree]:
    """Names `[n]` and Params `[n, ...]`: the given ones, then each leaf changed alone in several ways."""
    leaves, tree = jax.tree.flatten_with_path(jax.tree.map(np.asarray, params))
    names, rows = [""], [[leaf for _, leaf in leaves]]
    for i, (path, leaf) in enumerate(leaves if perturb else []):
        for other in _perturbed(leaf):
            names.append(jax.tree_util.keystr(path))
            rows.append([*rows[0][:i], other, *rows[0][i + 1 :]])
    return names, tree.unflatten([np.stack(column) for column in zip(*rows, strict=True)])


def _perturbed(leaf: np.ndarray) -> list[np.ndarray]:
    if leaf.dtype == bool:
        return [~leaf]
    if _is_float(leaf):
        return [leaf / 2, -leaf, leaf + 1]
    return [leaf + 1, leaf // 2, np.ones_like(leaf)]


def _signature(tree: PyTree) -> Array:
    """float32[], different for different trees in all but rare cases."""
    leaves = [x.ravel().astype(jnp.float32) for x in jax.tree.leaves(tree)]
    flat = jnp.concatenate(leaves)
    return jnp.sum(flat * jnp.sqrt(1.0 + jnp.arange(flat.shape[0])))


def _same(before: PyTree, after: PyTree, what: str, rule: _Rules) -> None:
    one, two = jax.tree.structure(before), jax.tree.structure(after)
    rule("stable_state", one == two, f"{what} changes structure in a step, from {one} to {two}")
    pairs = zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True)
    for (path, x), y in pairs:
        same = (x.shape, x.dtype, x.weak_type) == (y.shape, y.dtype, y.weak_type)
        name = jax.tree_util.keystr(path)
        rule("stable_state", same, f"{what}{name} goes from {_describe(x)} to {_describe(y)} in a step")


def _describe(x: Any) -> str:
    return f"{'weakly typed ' if x.weak_type else ''}{x.dtype}{list(x.shape)}"


def _is_float(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jnp.floating)
