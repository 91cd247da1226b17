"""SIGTERM and SIGINT as requests to stop in order."""

import signal
import subprocess
import sys
import threading

import pytest

from jaxrl.core.errors import Preempted
from jaxrl.run import signals


@pytest.mark.parametrize("number", signals.SIGNALS)
def test_the_first_signal_is_remembered_and_handlers_are_restored(number):
    before, said = [signal.getsignal(n) for n in signals.SIGNALS], []
    with signals.catch(said.append) as stop:
        assert stop.signal is None and stop.name == "no signal"
        signal.raise_signal(number)
    assert stop.signal == number and stop.name == signal.Signals(number).name
    assert said == [f"{stop.name}: stopping after a checkpoint; once more within 10 s stops at once"]
    assert [signal.getsignal(n) for n in signals.SIGNALS] == before


TWICE = """
import signal
from jaxrl.run import signals
with signals.catch(lambda text: None):
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
print("went on")
"""


def test_a_second_signal_ends_the_process_at_once():
    done = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM and done.stdout == ""


def test_outside_of_training_sigterm_is_an_error_with_its_exit_status():
    with (
        pytest.raises(Preempted, match="stopped by SIGTERM; continue so") as error,
        signals.interrupting("continue so"),
    ):
        signal.raise_signal(signal.SIGTERM)
    assert error.value.exit_code == 128 + signal.SIGTERM


def test_other_threads_catch_nothing():
    before, found = [signal.getsignal(n) for n in signals.SIGNALS], []

    def work():
        with signals.catch(print) as stop, signals.interrupting(""):
            found.append((stop.signal, [signal.getsignal(n) for n in signals.SIGNALS] == before))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(None, True)]
