"""Children that do one piece of work, are killed at a moment, and tell what became of them."""

import ctypes
import os
import pathlib
import signal
import tempfile
import time
import traceback

# Seconds after which a child counts as hung.
LONGEST = 600
_PR_SET_PDEATHSIG = 1
# The ends of pipes that keep services alive.
_held = set()


def start(function, log=os.devnull):
    """Forks a child that calls a function; what it says on stderr goes to the file `log`."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        # A child must not outlive a harness that is killed, nor keep services alive.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        for pipe in _held:
            os.close(pipe)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), 2)
        function()
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        # Never up the stack, where the parent's scratch folder would be deleted.
        os._exit(code)


def wait(pid, kill_after=LONGEST):
    """Waits for a child and kills it after so many seconds. Returns its exit code."""
    deadline = time.monotonic() + kill_after
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline += LONGEST
        time.sleep(0.005)


def run(function, log=os.devnull, kill_after=LONGEST):
    """Calls a function in a child; see `wait`."""
    return wait(start(function, log), kill_after)


def value_of(function, log=os.devnull):
    """What a function returns, as bytes, computed in a child; None if the child fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "value")
        code = run(lambda: path.write_bytes(repr(function()).encode()), log)
        return path.read_bytes() if code == 0 else None


class Service:
    """A child that serves others until this process ends, even by a kill.

    Args:
        function: context manager; what it yields, a str, becomes `address`.
    """

    def __init__(self, function):
        address, told = os.pipe()
        lives, self._held = os.pipe()

        _held.add(self._held)

        def serve():
            os.close(address)
            # It ends in order, when the pipe does.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)
            with function() as value:
                os.write(told, value.encode() + b"\n")
                # Ends when nobody holds the other end.
                os.read(lives, 1)

        self._pid = start(serve)
        os.close(told)
        os.close(lives)
        with open(address) as file:
            self.address = file.readline().strip()

    def close(self):
        """Ends the service."""
        _held.remove(self._held)
        os.close(self._held)
        wait(self._pid, 30)
