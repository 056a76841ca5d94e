"""The only place for private names of Keras and KerasHub, each with its reason."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def take_initial_epoch(model: "keras.Model", initial_epoch: int) -> int:
    """Returns the epoch at which a training loop begins.

    `keras.callbacks.BackupAndRestore` tells `keras.Model.fit` where to resume through an
    attribute of the model that has no public name.

    Args:
        model: `keras.Model`, after the callbacks' `on_train_begin`.
        initial_epoch: int. What the user asked for.

    Returns:
        int: the epoch to resume with if there is one, else `initial_epoch`.
    """
    resumed, model._initial_epoch = model._initial_epoch, None
    return resumed or initial_epoch


def set_initial_epoch(model: "keras.Model", epoch: int) -> None:
    """Tells a training loop where to begin, as `keras.callbacks.BackupAndRestore` does.

    Args:
        model: `keras.Model`, in a callback's `on_train_begin`.
        epoch: int. Counted from 0.
    """
    model._initial_epoch = epoch
