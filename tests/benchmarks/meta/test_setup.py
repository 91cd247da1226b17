"""The environment of the peers has the pinned versions, in a folder of its own."""

from benchmarks import workers
from benchmarks.meta import setup
from benchmarks.meta.__main__ import main


def test_setup_installs_the_pinned_versions_in_its_own_environment(monkeypatch, tmp_path):
    made, commands = [], []
    monkeypatch.setattr(workers.venv, "create", lambda folder, with_pip: made.append(folder))
    monkeypatch.setattr(workers.subprocess, "run", lambda command, check: commands.append(command))
    main(["setup"])
    assert made == [setup.FOLDER] and setup.FOLDER.parts[-2:] == (".cache", "meta")
    (command,) = commands
    assert command[0] == setup.PYTHON and command[1:4] == ["-m", "pip", "install"]
    assert command[-1].read_text().split() == ["evosax==0.3.2", "minatar==1.0.15"]
