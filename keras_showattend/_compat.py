"""The only place for private names of Keras and KerasHub, each with its reason."""


def take_initial_epoch(model, initial_epoch):
    """The epoch at which a training loop begins.

    `keras.callbacks.BackupAndRestore` tells `keras.Model.fit` through an attribute of the
    model, for which there is no public name, where an interrupted training goes on.

    Args:
        model: `keras.Model`, after the callbacks' `on_train_begin`.
        initial_epoch: int. What the user asked for.
    """
    resumed, model._initial_epoch = model._initial_epoch, None
    return resumed or initial_epoch


def set_initial_epoch(model, epoch):
    """Tells a training loop to begin with an epoch, as `keras.callbacks.BackupAndRestore` does.

    Args:
        model: `keras.Model`, in a callback's `on_train_begin`.
        epoch: int. Counted from 0.
    """
    model._initial_epoch = epoch
