"""Ctrl-C that acts at once, also while the main thread computes or imports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator

# As a shell reports a command that Ctrl-C ended: 128 + the signal's number.
INTERRUPTED = 130
# How long, in seconds, the main thread may take to end by itself. A `KeyboardInterrupt`
# reaches it only between two steps of Python code, and a batch of images is one step.
GRACE = 0.5


@contextlib.contextmanager
def prompt_interrupts(message: Callable[[], str]) -> Iterator[None]:
    """Ends the process soon after Ctrl-C, with exit code 130.

    The block gets its `KeyboardInterrupt` as usual and should end then. If it has not ended
    half a second later, a thread says the message and ends the process. What the process
    writes must bear that: whole rows are handed to the operating system before each batch.

    Args:
        message: function that gives what to say on stderr if the process is ended.
    """
    if threading.current_thread() is not threading.main_thread():
        # Signals reach the main thread alone.
        yield
        return
    # stderr may be held back when the signal comes.
    stderr = _duplicate(2)
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    ended = threading.Event()

    def watch() -> None:
        # Python's C code writes the number of a signal here when it comes.
        while number := receiver.recv(1):
            if number[0] == signal.SIGINT and not ended.wait(GRACE):
                with contextlib.suppress(OSError):
                    os.write(stderr, message().encode("utf-8", "backslashreplace"))
                os._exit(INTERRUPTED)

    thread = threading.Thread(target=watch, name="prompt_interrupts", daemon=True)
    thread.start()
    previous = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(previous)
        sender.close()
        thread.join()
        receiver.close()
        if stderr >= 0:
            os.close(stderr)


def _duplicate(descriptor: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError:
        # A program without a stderr.
        return -1
