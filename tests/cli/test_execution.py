"""A run from its folder to its page, whatever happens inside."""

import threading
import time
import types

from jaxrl.cli import execution
from jaxrl.cli.main import main
from jaxrl.run import catalogue
from jaxrl.run.folder import RunFolder


def test_an_unexpected_error_is_one_line_and_a_traceback_in_the_log(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TOY_BREAKS", "1")
    assert main(["run", "toy/ring", "smoke", "--root", str(root), "--out", str(tmp_path)]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    (run,) = (p.parent for p in tmp_path.glob("**/config.json"))
    assert last == (
        f"jaxrl: RuntimeError: the experiment broke in two lines; the traceback is in {run / 'log.txt'}"
    )
    assert "Traceback (most recent call last)" in (run / "log.txt").read_text()
    status = RunFolder.open(run).status
    assert (status["state"], status["exit_code"]) == ("failed", 1)
    assert (run / "report.html").exists()
    monkeypatch.delenv("TOY_BREAKS")
    assert main(["resume", str(run), "--root", str(root)]) == 0
    assert RunFolder.open(run).status["state"] == "done"


def test_live_report_reloads_itself_while_the_run_goes_on(root, monkeypatch):
    monkeypatch.setattr(execution, "LIVE_S", 0.05)
    seen = threading.Event()

    def run(config, folder):
        folder.log({"stage": "train", "update": 1, "return": [1.0, 2.0]})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not seen.is_set():
            page = folder.path / "report.html"
            if page.exists() and "<img" in page.read_text() and "http-equiv='refresh'" in page.read_text():
                seen.set()
            time.sleep(0.02)

    module = types.SimpleNamespace(__doc__="Slow.", run=run)
    config = catalogue.load(root, "toy/ring").PRESETS["smoke"]
    folder = RunFolder.create("toy/ring", config, root / "live", "smoke")
    execution.execute(module, config, folder, live=True)
    assert seen.is_set()
    assert "refresh" not in (folder.path / "report.html").read_text()
