"""What MinAtar does in one of its games, as arrays; runs in the environment of `benchmarks.meta setup`.

python -m benchmarks.meta.minatar_worker breakout --steps 10000 --out FILE.npz

Episodes follow one another without sticky actions. A row is a step: `begins` says whether it is the first of
an episode, `action` counts the game's own actions, `start` and `draw` have what was drawn in the last reset
and in the step (signed periods of cars in Freeway, the side of the ball in Breakout, uniforms in Asterix).
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from minatar import Environment

LONGEST = {"freeway": 2500}  # MinAtar ends Freeway a step later, by a limit that is no part of the game


class Draws:
    """A generator that remembers what it gave."""

    def __init__(self, seed: int) -> None:
        self._inner, self.given = np.random.RandomState(seed), []

    def rand(self, *shape: int) -> Any:
        """Uniforms."""
        self.given.append(self._inner.rand(*shape))
        return self.given[-1]

    def randint(self, *bounds: Any) -> Any:
        """Integers; remembered as quantiles where they choose from a list."""
        drawn = self._inner.randint(*bounds)
        self.given.append((drawn + 0.5) / bounds[0] if len(bounds) == 1 else drawn.copy())
        return drawn

    def taken(self, game: str) -> np.ndarray:
        """What was drawn since the last call."""
        given, self.given = self.given, []
        if game == "freeway":
            return given[0] * np.sign(given[1] - 0.5).astype(int) if given else np.ones(8, int)
        return np.resize(given, 3) if given else np.zeros(3)


def choose(rng: np.random.Generator, game: str, actions: int, obs: np.ndarray) -> int:
    """A random action; nine of ten follow the ball in Breakout and go up in Freeway."""
    if game == "freeway" and rng.random() < 0.9:
        return 1
    if game == "breakout" and rng.random() < 0.9:
        paddle, ball = (int(np.argmax(obs[..., channel].any(0))) for channel in (0, 1))
        return 0 if paddle == ball else 1 if ball < paddle else 2
    return int(rng.integers(actions))


def record(game: str, steps: int, seed: int) -> dict[str, np.ndarray]:
    """`steps` rows of a game, by name."""
    rng, draws = np.random.default_rng(seed), Draws(seed)
    env = Environment(game, sticky_action_prob=0.0)
    env.env.random, actions = draws, env.minimal_action_set()
    rows: dict[str, list[Any]] = {
        name: [] for name in ("begins", "start", "action", "draw", "obs", "reward", "terminal")
    }
    age, begins, start = 0, True, np.zeros(3)
    for _ in range(steps):
        if begins:
            draws.taken(game)
            env.reset()
            start, age = draws.taken(game), 0
        action = choose(rng, game, len(actions), env.state())
        reward, terminal = env.act(actions[action])
        age += 1
        row = (begins, start, action, draws.taken(game), env.state(), reward, terminal)
        for name, value in zip(rows, row, strict=True):
            rows[name].append(value)
        begins = terminal or age == LONGEST.get(game)
    return {name: np.array(values) for name, values in rows.items()}


def main() -> None:
    """Writes the record that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("game", choices=("asterix", "breakout", "freeway", "space_invaders"))
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    np.savez_compressed(args.out, **record(args.game, args.steps, args.seed))


if __name__ == "__main__":
    main()
