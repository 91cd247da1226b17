"""The peer's environment, and the comparison with it.

python -m benchmarks.reward_free setup     builds .cache/rlberry with the versions of peers.txt
python -m benchmarks.reward_free peer      equal indices first, then episodes per CPU-second at three sizes
"""

from __future__ import annotations

from benchmarks.reward_free.tabular import main

if __name__ == "__main__":
    main()
