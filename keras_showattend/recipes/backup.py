"""The state of training after each epoch, which survives a kill at any moment."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import keras

from keras_showattend._compat import set_initial_epoch
from keras_showattend._files import replacing
from keras_showattend.training.epoch_seeds import seed_epoch
from keras_showattend.training.processes import process_part
from keras_showattend.training.weights_file import set_aside, weights_problem

_EPOCHS_KEPT = 2
_NAME = re.compile(r"after_epoch_(\d+)\.weights\.h5")


class Backup(keras.callbacks.Callback):
    """Saves weights and optimizer after each epoch, and resumes from the last whole state.

    Unlike `keras.callbacks.BackupAndRestore`, each state is one file that appears whole or not
    at all, and its name tells the epoch. A file that cannot be read is set aside with a warning,
    and the state before it is taken. States that `BackupAndRestore` has written are read, too.

    Where several processes train one captioner, the first of them writes, and all resume from
    what it wrote: they need to see the same folder.

    Args:
        folder: path of a folder for the states, which is deleted when training ends.
        seed: int. With the epoch it decides what dropout draws. Defaults to 0.
    """

    def __init__(self, folder: pathlib.Path, seed: int = 0):
        super().__init__()
        self.folder = folder
        self.seed = seed
        self._writes = process_part()[0] == 0

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Loads the last whole state, if there is one."""
        self._take_over()
        for epochs, path in self._states():
            problem = weights_problem(path)
            if problem is None:
                if not self.model.optimizer.built:
                    # Its state needs variables to be loaded into.
                    self.model.optimizer.build(self.model.trainable_variables)
                self.model.load_weights(path)
                set_initial_epoch(self.model, epochs)
                return
            set_aside(problem, path)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Lets dropout draw what it draws in this epoch of an undisturbed run."""
        # Dropout on PyTorch draws from the generator of the process.
        keras.utils.set_random_seed((self.seed + epoch) % 2**31)
        seed_epoch(self.model.variables, epoch, self.seed)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Saves the state, and deletes all but the last two."""
        if not self._writes:
            # Keras gathers the state where all processes ask for it.
            with tempfile.TemporaryDirectory() as scratch:
                self.model.save_weights(pathlib.Path(scratch, "state.weights.h5"))
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # Epochs count from 0.
        with replacing(self.folder / f"after_epoch_{epoch + 1}.weights.h5") as partial:
            self.model.save_weights(partial)
        for _, path in self._states()[_EPOCHS_KEPT:]:
            path.unlink()

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Deletes the states."""
        if self._writes:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _states(self) -> list[tuple[int, pathlib.Path]]:
        """Returns the number of finished epochs and the path of each state, last first."""
        found = [
            (int(match[1]), path)
            for path in self.folder.glob("*.weights.h5")
            if (match := _NAME.fullmatch(path.name))
        ]
        return sorted(found, reverse=True)

    def _take_over(self) -> None:
        """Renames the states that `BackupAndRestore` has written."""
        for suffix in ("", ".bkp"):
            path = self.folder / f"latest.weights.h5{suffix}"
            epochs = _epochs_of(self.folder / f"training_metadata.json{suffix}")
            if path.exists() and epochs:
                path.replace(self.folder / f"after_epoch_{epochs}.weights.h5")


def _epochs_of(path: pathlib.Path) -> int | None:
    """Reads the number of finished epochs that `BackupAndRestore` has noted, if it has."""
    try:
        return int(json.loads(path.read_text())["epoch"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
