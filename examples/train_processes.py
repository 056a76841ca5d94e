"""Trains one captioner in several processes, on one machine or on many.

    python examples/train_processes.py captions.csv --output my_captioner --processes 2

starts two processes on this machine. On several machines, start the script on each with
`--work` on a disk that all see, and with three variables: KERAS_DISTRIBUTION_JOB_ADDRESSES, host
and port of the first machine, KERAS_DISTRIBUTION_NUM_PROCESSES, and KERAS_DISTRIBUTION_PROCESS_ID,
from 0 on. Or let a Ray cluster start them, wherever it has room:

    python examples/train_processes.py captions.csv --output my_captioner --ray auto

All paths must then be on a disk that its machines see. When a process dies the others end too; run
the same command again, and training resumes behind the last whole epoch.
"""

import argparse
import os
import pathlib
import socket
import subprocess
import sys
import time

PROCESS = "KERAS_DISTRIBUTION_PROCESS_ID"


def main():
    """Starts the processes, or is one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions")
    parser.add_argument("--output", required=True)
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--work", default="runs/processes")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--ray", metavar="ADDRESS", help="of a Ray cluster, or auto")
    args = parser.parse_args()
    if PROCESS in os.environ:
        train(args)
    elif args.ray:
        start_on_ray(args)
    else:
        sys.exit(start(args.processes))


def settings(address, count, index):
    """The variables of the environment that make a process one of several."""
    return {
        "KERAS_BACKEND": "jax",
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        "KERAS_DISTRIBUTION_NUM_PROCESSES": str(count),
        PROCESS: str(index),
    }


def free_address(host):
    """A port of this machine that nobody uses, as `host:port`."""
    with socket.socket() as free:
        free.bind((host, 0))
        return f"{host}:{free.getsockname()[1]}"


def start(count):
    """Starts the processes and waits; ends all if one fails. Returns the exit code."""
    address = free_address("127.0.0.1")
    processes = [
        subprocess.Popen(
            [sys.executable, *sys.argv], env={**os.environ, **settings(address, count, index)}
        )
        for index in range(count)
    ]
    codes = [None] * count
    while None in codes:
        time.sleep(0.2)
        codes = [process.poll() for process in processes]
        if any(codes):
            for process in processes:
                process.kill()
    return 1 if any(codes) else 0


def start_on_ray(args):
    """Trains in actors of a Ray cluster; if one fails, all end with this process."""
    import ray

    class Process:
        """One of the processes, with a core of its own; `num_gpus=1` gives it a GPU instead."""

        def address(self):
            return free_address(ray.util.get_node_ip_address())

        def train(self, args, variables):
            os.environ.update(variables)
            train(args)

    ray.init(args.ray)
    actors = [ray.remote(num_cpus=1)(Process).remote() for _ in range(args.processes)]
    address = ray.get(actors[0].address.remote())
    running = [
        actor.train.remote(args, settings(address, args.processes, index))
        for index, actor in enumerate(actors)
    ]
    while running:
        # Whichever ends first, because the others wait for one that has died.
        ended, running = ray.wait(running)
        ray.get(ended)


def train(args):
    """Trains in this process, together with the others."""
    import keras

    # Before anything is computed: JAX then counts the devices of all processes.
    keras.distribution.initialize()

    import jax

    from keras_showattend import ImageCaptioner, read_captions_file
    from keras_showattend.recipes.backup import Backup

    dataset = read_captions_file(args.captions)
    # The encoder's features, shared among the processes before they train as one.
    cache = pathlib.Path(args.work) / "features"
    alone = ImageCaptioner.from_preset(args.preset)
    alone.backbone.image_encoder.trainable = False
    alone.cached_features(dataset.images, cache)

    keras.utils.set_random_seed(7)
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    captioner = ImageCaptioner.from_preset(args.preset)
    captioner.backbone.image_encoder.trainable = False
    captioner.compile(optimizer=keras.optimizers.Adam(1e-4, global_clipnorm=5.0))
    is_first = jax.process_index() == 0
    captioner.fit(
        dataset,
        epochs=args.epochs,
        batch_size=args.batch_size,
        feature_cache=cache,
        verbose=2 if is_first else 0,
        callbacks=[Backup(pathlib.Path(args.work) / "backup")],
    )
    if is_first:
        captioner.save_to_preset(args.output)


if __name__ == "__main__":
    main()
