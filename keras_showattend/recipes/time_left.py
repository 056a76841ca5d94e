"""How long a stage will take, told after its first minute."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras


class TimeLeft(keras.callbacks.Callback):
    """Prints on stderr after a minute, and after the first epoch, how long a stage will take.

    Place it after the callback that captions the validation images, whose time is then part of
    an epoch's.

    Args:
        epochs: int. Epochs of the stage.
        steps_per_epoch: int.
        wait: float. Seconds before the first estimate; a shorter stage prints nothing.
        clock: function that returns seconds.
    """

    def __init__(
        self,
        epochs: int,
        steps_per_epoch: int,
        wait: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__()
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.wait = wait
        self.clock = clock
        self._first_step: float | None = None
        self._steps = 0
        self._told = False
        self._epoch_told = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self._epoch = epoch
        self._epoch_begin = self.clock()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Prints the first estimate when it is due."""
        if self._told:
            return
        now = self.clock()
        if self._first_step is None:
            # The first step also compiles.
            self._first_step = now
            return
        self._steps += 1
        if now - self._first_step < self.wait:
            return
        steps_left = (self.epochs - self._epoch) * self.steps_per_epoch - batch - 1
        seconds = (now - self._first_step) / self._steps * steps_left
        self._told = True
        print(
            f"\nAbout {duration(seconds)} left in this stage of {self.epochs} epochs, and after "
            "each epoch the time to caption the validation images.",
            file=sys.stderr,
        )

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Prints the estimate from a whole epoch, once."""
        left = self.epochs - epoch - 1
        if not self._told or self._epoch_told or not left:
            return
        self._epoch_told = True
        seconds = self.clock() - self._epoch_begin
        print(
            f"An epoch takes {duration(seconds)}, with captions of the validation images: about "
            f"{duration(left * seconds)} left in this stage.",
            file=sys.stderr,
        )


def duration(seconds: float) -> str:
    """Returns a duration in words: `duration(4000)` gives `"1 h 7 min"`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
