"""Any working directory, any path, a bare environment; in processes of their own."""

import json
import os

from jaxrl.run.folder import RunFolder
from tests.run import ring


def test_another_working_directory_and_a_path_with_spaces_and_letters_beyond_ascii(tmp_path):
    """Everything is found and written below the root; the working directory stays empty."""
    root = ring.make_root(tmp_path / "mes données – Δ")
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    done = ring.jaxrl(
        "run", "toy/ring", "smoke", "--updates", "2", "--root", str(root), "--json", cwd=elsewhere
    )
    assert done.returncode == 0, done.stderr
    run = RunFolder.open(json.loads(done.stdout)["run"])
    assert run.path.is_relative_to(root / "runs")
    assert run.status["state"] == "done"
    assert (run.path / "report.html").exists()
    done = ring.jaxrl("figure", str(run.path), cwd=elsewhere)  # the root is found above the run
    assert done.returncode == 0, done.stderr
    assert list(elsewhere.iterdir()) == []


def test_a_bare_environment(tmp_path):
    """HOME cannot be written, TMPDIR unset, C locale, no terminal."""
    root = ring.make_root(tmp_path / "root")
    bare = {
        "HOME": "/dev/null",
        "TMPDIR": "",
        "XDG_CACHE_HOME": "",
        "LC_ALL": "C",
        "LANG": "",
        "TERM": "",
        "JAX_COMPILATION_CACHE_DIR": "",
        "MPLCONFIGDIR": "",
    }
    assert "HOME" in os.environ
    done = ring.jaxrl("run", "toy/ring", "smoke", "--updates", "2", "--json", cwd=root, **bare)
    assert done.returncode == 0, done.stderr
    run = RunFolder.open(json.loads(done.stdout)["run"])
    assert (run.path / "figures" / "ring.pdf").stat().st_size > 0
    assert list((root / ".cache").glob("jax-*"))  # the compilation cache went to the root
    assert "\x1b[" not in done.stderr  # no colours or moving bars in a log
