"""Shared test set-up: four fake CPU devices, strict promotion, one compilation cache, no network."""

import gc
import ipaddress
import itertools
import json
import os
import socket
import sys
from pathlib import Path

import hypothesis
import jax
import pytest

from jaxrl.cli.machine import cache_folder

TESTS = Path(__file__).parent
collect_ignore = ["architecture/seventh_family"]  # a tree of its own, copied by the drill

# for subprocesses; this process is configured below
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache_folder(TESTS.parent)))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# jax reads the environment when it is imported, which a plugin may have done already
jax.config.update("jax_compilation_cache_dir", os.environ["JAX_COMPILATION_CACHE_DIR"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")

hypothesis.settings.register_profile("jaxrl", deadline=None, derandomize=True)
hypothesis.settings.load_profile("jaxrl")


def _loopback_only(event: str, args: tuple) -> None:
    """Audit hook: the suite has to pass without a network, so every other address is an error."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event in ("socket.connect", "socket.sendto") and args[0].family != socket.AF_UNIX:
        host = args[1][0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return
    try:
        local = ipaddress.ip_address(name).is_loopback
    except ValueError:
        local = False
    if not local:
        raise PermissionError(f"tests may not use the network: {event} {host!r}")


sys.addaudithook(_loopback_only)

MAPPINGS = 15_000  # Linux gives a process 65,530; a compiled program takes about 35, and jaxlib aborts beyond
_finished = itertools.count(1)


def pytest_runtest_teardown() -> None:
    """Forgets compiled programs after every fifth test where they take too many memory mappings."""
    maps = Path("/proc/self/maps")
    if next(_finished) % 5 == 0 and maps.exists() and maps.read_bytes().count(b"\n") > MAPPINGS:
        jax.clear_caches()
        gc.collect()


def pytest_collection_finish() -> None:
    """Spares the garbage collector what imports left, which it walked again and again while jax traced."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    """A root that holds the tiny experiment `toy/ring`; tests only add runs to it."""
    from tests.run import ring

    return ring.make_root(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="session")
def finished(root):
    """One finished run of `toy/ring`; tests only read it."""
    from jaxrl.cli import api

    return api.run("toy/ring", "smoke", root=root)


@pytest.fixture
def document(capfd):
    """A function of a command: its exit code, and the one JSON document on standard output."""
    from jaxrl.cli.main import main

    def run(*args):
        capfd.readouterr()
        code = main([*map(str, args), "--json"])
        return code, json.loads(capfd.readouterr().out)

    return run


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real recordings that are too large for the repository; named by $JAXRL_DATA."""
    folder = os.environ.get("JAXRL_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data: set JAXRL_DATA to the folder that holds the recordings")
    return Path(folder)
