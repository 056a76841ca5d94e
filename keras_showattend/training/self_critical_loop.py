"""The loop of self-critical training: draw, score, learn."""

import keras

from keras_showattend._compat import take_initial_epoch


def fit_self_critical(
    captioner, batches, *, epochs=1, initial_epoch=0, callbacks=None, verbose="auto"
):
    """Trains as `keras.Model.fit` does, on batches that are drawn from the model itself.

    `fit` reads its data ahead of the model, and on JAX while the weights are elsewhere; here
    each batch is drawn with the weights that the last one has left.

    Args:
        captioner: a compiled `ImageCaptioner`.
        batches: `SelfCriticalBatches` of it.
        epochs, initial_epoch, callbacks, verbose: as for `keras.Model.fit`.

    Returns:
        `keras.callbacks.History` with `loss` and `reward`, the mean score of the captions
        that were drawn.
    """
    verbose = 1 if verbose == "auto" else verbose
    callbacks = keras.callbacks.CallbackList(
        callbacks,
        add_history=True,
        add_progbar=verbose != 0,
        model=captioner,
        verbose=verbose,
        epochs=epochs,
        steps=len(batches),
    )
    captioner.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(take_initial_epoch(captioner, initial_epoch), epochs):
        batches.start_epoch(epoch)
        callbacks.on_epoch_begin(epoch)
        sums = {"loss": 0.0, "reward": 0.0}
        logs = {}
        for step in range(len(batches)):
            callbacks.on_train_batch_begin(step)
            x, y, weight, reward = batches.draw(step)
            # KerasHub's own would preprocess the batch again.
            found = keras.Model.train_on_batch(
                captioner, x, y, sample_weight=weight, return_dict=True
            )
            sums["loss"] += float(found["loss"])
            sums["reward"] += reward
            logs = {key: total / (step + 1) for key, total in sums.items()}
            callbacks.on_train_batch_end(step, logs)
            if captioner.stop_training:
                break
        callbacks.on_epoch_end(epoch, logs)
        if captioner.stop_training:
            break
    captioner.optimizer.finalize_variable_values(captioner.trainable_weights)
    callbacks.on_train_end(logs)
    return captioner.history
