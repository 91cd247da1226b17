"""What `import jaxrl` costs over `import jax, flax`, in fresh interpreters.

python -m benchmarks.startup --rounds 5
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks.measure import Entry, emit

#: modules that a plain import must not load
HEAVY = ("brax", "distrax", "orbax", "gymnasium", "matplotlib", "tyro")
#: CPU seconds that the design allows `import jaxrl` to add
CEILING = 0.5

_PROBE = """
import resource, sys
import jax, flax
def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before, known = cpu(), set(sys.modules)
import {module}
print(cpu() - before, *sorted(set({heavy}) & set(sys.modules) - known), sep=",")
"""


def probe(module: str) -> tuple[float, list[str]]:
    """CPU seconds that importing `module` adds, and which heavy modules it has loaded."""
    code = _PROBE.format(module=module, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    seconds, *loaded = done.stdout.strip().split(",")
    return float(seconds), loaded


def measure(rounds: int) -> list[Entry]:
    """One entry for the package, and one for what a PPO run imports."""
    entries = []
    for module, ceiling in (("jaxrl", CEILING), ("jaxrl.baselines.ppo", None)):
        probes = [probe(module) for _ in range(rounds)]
        loaded = ", ".join(probes[0][1]) or "nothing heavy"
        seconds = [seconds for seconds, _ in probes]
        settings = f"over import jax, flax; loads {loaded}"
        entries.append(Entry.of("import", module, seconds, "CPU-s", settings=settings, ceiling=ceiling))
    return entries


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    emit(measure(parser.parse_args(argv).rounds))


if __name__ == "__main__":
    main()
