"""Which part of each batch this process reads, where several processes train one captioner."""

from __future__ import annotations

import sys
from typing import Any

import keras


def process_part() -> tuple[int, int]:
    """Returns the number of this process, from 0 on, and how many train together.

    Several processes train one captioner on JAX, after `keras.distribution.initialize()` and
    with `DataParallel(auto_shard_dataset=False)` as the distribution: each process reads its
    own part of each batch, which Keras must not divide once more.

    Raises:
        ValueError: where several processes would each train a captioner of their own, or their
            gradients would not be averaged rightly; says what to do.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        if tf.distribute.has_strategy():
            raise _refusal(f"`tf.distribute` ({type(tf.distribute.get_strategy()).__name__})")
        return 0, 1
    if backend == "torch":
        # Imported by Keras; what was never imported was never initialized.
        distributed: Any = sys.modules.get("torch.distributed")
        is_used = distributed is not None and distributed.is_available()
        if is_used and distributed.is_initialized() and distributed.get_world_size() > 1:
            raise _refusal(f"`torch.distributed` with {distributed.get_world_size()} processes")
        return 0, 1
    import jax

    count = jax.process_count()
    distribution = keras.distribution.distribution()
    if count > 1 and not (
        isinstance(distribution, keras.distribution.DataParallel)
        and not distribution.auto_shard_dataset
    ):
        raise _refusal(f"{count} processes of JAX with the distribution {distribution}")
    return jax.process_index(), count


def _refusal(received: str) -> ValueError:
    return ValueError(
        "Several processes train one captioner on JAX: set KERAS_BACKEND=jax, call "
        "`keras.distribution.initialize()`, then "
        "`keras.distribution.set_distribution(keras.distribution.DataParallel("
        "auto_shard_dataset=False))`, before the "
        f"captioner is made. Received: {received}"
    )
