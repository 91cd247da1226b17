"""What the run layer refuses, each in one sentence that names the field and the fix."""

import jax
import jax.numpy as jnp
import pytest

from jaxrl.core.errors import UsageError
from jaxrl.run.folder import config_from_dict, config_hash, config_to_dict
from jaxrl.run.grid import expand
from jaxrl.run.sweep import member_keys, sweep
from jaxrl.run.train import train
from tests.run import toy
from tests.run.test_sweep import Config


def run(keys=None, hypers=None, data=None, algorithm=None, **options):
    train(
        algorithm or toy.make(toy.Config()),
        member_keys(0, 4) if keys is None else keys,
        toy.hypers(4) if hypers is None else hypers,
        toy.data() if data is None else data,
        **{"updates": 3, "progress": False, **options},
    )


def init_without_key(key, hyper, data):
    return {"updates": jnp.zeros((), jnp.int32)}


def stepping(change):
    """The toy algorithm, with `change` applied to what its `step` returns."""
    algorithm = toy.make(toy.Config())
    return algorithm._replace(step=lambda state, hyper, data: change(*algorithm.step(state, hyper, data)))


CASES = [
    (
        lambda: run(algorithm=stepping(lambda state, metrics: state)),
        r"Algorithm\.step: returns \w+, not \(state,",
    ),
    (
        lambda: run(algorithm=stepping(lambda state, metrics: (state, {"loss": {"a": 1.0}}))),
        "Algorithm.step: metric 'loss' is a dict; give an array",
    ),
    (
        lambda: run(algorithm=stepping(lambda s, m: (s.replace(updates=s.updates.astype(float)), m))),
        r"Algorithm\.step: state\.updates is float32\[\], after int32\[\] in `init`; keep shape and dtype",
    ),
    (
        lambda: run(algorithm=stepping(lambda s, m: (s.replace(position=()), m))),
        "Algorithm.step: the state has another structure than that of `init`",
    ),
    (lambda: run(updates=0), "updates: must be >= 1, got 0"),
    (lambda: run(updates=2.5), "updates: must be an int, got 2.5"),
    (lambda: run(updates="3"), "updates: must be an int, got '3'"),
    (lambda: run(log_every=-1), "log_every: must be >= 1 or None, got -1"),
    (lambda: run(log_every=0), "log_every: must be >= 1 or None, got 0"),
    (lambda: run(eval_every="2"), "eval_every: must be an int or None, got '2'"),
    (lambda: run(lane=0), "lane: must be an integer >= 1 or 'auto', got 0"),
    (lambda: run(lane="wide"), "lane: must be an integer >= 1 or 'auto', got 'wide'"),
    (lambda: run(lane=True), "lane: must be an integer >= 1 or 'auto', got True"),
    (lambda: run(chunk=0), "chunk: must be >= 1 or None, got 0"),
    (lambda: run(on_nonfinite="skip"), "on_nonfinite: 'skip' is none of freeze, stop, ignore"),
    (lambda: run(checkpoint_every=5), "checkpoint_every: there is no folder"),
    (lambda: run(eval_every=5), "eval_every: there is nothing to evaluate"),
    (lambda: run(keys=jnp.zeros((4, 2), jnp.uint32)), "keys: must be typed"),
    (lambda: run(keys=jax.random.key(0)), r"keys: shape \(\) is not \[B\]"),
    (
        lambda: run(hypers=toy.Hyper()),
        r"hypers\.lr: shape \(\) has no population axis of 4 members.*stack_hypers",
    ),
    (lambda: run(hypers=toy.hypers(3)), r"hypers\.lr: shape \(3,\) has no population axis of 4 members"),
    (lambda: run(shared_data=False), r"data\['member'\]: shape \(\) has no population axis"),
    (
        lambda: run(algorithm=toy.make(toy.Config())._replace(init=init_without_key)),
        "tests.run.toy: .*no field key and no field updates;",
    ),
    (lambda: member_keys(2**32, 1), r"seed: must be an integer in \[0, 2\^32\), got 4294967296"),
    (lambda: member_keys(-1, 1), r"seed: must be an integer in \[0, 2\^32\), got -1"),
    (lambda: member_keys(1e20, 1), r"seed: must be an integer in \[0, 2\^32\), got 1e\+20"),
    (lambda: member_keys(0, 0), "seeds: must be >= 1, got 0"),
    (lambda: member_keys(0, 1.5), "seeds: must be an int, got 1.5"),
    (
        lambda: sweep(toy.make, [(toy.Config(),)], seeds=1, data=toy.data(), updates=1),
        r"members\[0\]: must be a pair \(static, hyper\), got \(Config",
    ),
    (lambda: sweep(toy.make, [], seeds=1, data=toy.data(), updates=1), "members: a sweep needs at least one"),
    (lambda: expand(Config(), {"hyper.rl": (1.0,)}), "hyper.rl: no field 'rl'; did you mean 'lr'"),
    (lambda: expand(Config(), {"seeds.n": (1,)}), "seeds.n: no field 'n'"),
    (lambda: expand(Config(), {"hyper.lr": ()}), "grid: hyper.lr has no values"),
    (lambda: config_hash(Config(hyper=toy.Hyper(lr=float("nan")))), r"config\.hyper\.lr: nan is not finite"),
    (lambda: config_hash(Config(seeds=object())), r"config\.seeds: object has no JSON form"),
    (lambda: _decode(seeds="8"), r"config\.seeds: expects int, got '8'"),
    (lambda: _decode(sedes=8), r"config\.sedes: no such field; did you mean 'seeds'"),
]


def _decode(**fields):
    config_from_dict(Config, config_to_dict(Config()) | fields)


@pytest.mark.parametrize(("act", "sentence"), CASES, ids=[sentence[:40] for _, sentence in CASES])
def test_refused_in_one_sentence(act, sentence):
    with pytest.raises(UsageError, match=sentence) as error:
        act()
    assert "\n" not in str(error.value)
