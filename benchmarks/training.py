"""Times training, compared with the tutorial's form (`benchmarks/tutorial.py`).

    python benchmarks/training.py epoch step --data FLICKR8K_FOLDER [--output FILE.json]

Both sides: embedding 256, state and attention 512, vocabulary 5001, batches of 64 captions.

- `epoch`: the Flickr8k train split on cached features of 49 locations. Rounds take every n-th
  batch of an epoch ordered by length, and a few of the tutorial's, which are all alike; the time
  is extrapolated to the epoch by captions. Both sides train on the same words.
- `step`: one step of 20 words at 49 and 196 locations, and how much longer the first step of a
  new model takes than a later one, which is its compilation.

The tutorial runs in a process of its own on TensorFlow, in turns with the package, which runs on
`KERAS_BACKEND`. Features are random, because time does not depend on their values. The tutorial's
are tensors in memory; the package's are gathered from a memory-mapped file, as in `fit`.
"""

import argparse
import multiprocessing
import os
import pathlib
import statistics
import tempfile

import numpy as np
from timing import interleave, ratios, table, write_json

SIZES = {"embedding_dim": 256, "hidden_dim": 512, "attention_dim": 512}
VOCABULARY, BATCH, WORDS = 5001, 64, 20
BASELINE = "tutorial"


class Tutorial:
    """The baseline, in another process, so that it is on TensorFlow whatever the backend here."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        backend = os.environ.get("KERAS_BACKEND")
        os.environ["KERAS_BACKEND"] = "tensorflow"
        context.Process(target=_serve, args=(other,), daemon=True).start()
        os.environ["KERAS_BACKEND"] = backend or "tensorflow"

    def new(self, locations, words=WORDS):
        """Makes a new model that is not compiled, and a batch for it."""
        self._ask("new", locations, words)

    def step(self, count=1):
        """Trains on the batch `count` times."""
        self._ask("step", count)

    def _ask(self, *request):
        self.connection.send(request)
        self.connection.recv()


def _serve(connection):
    import tensorflow as tf
    from tutorial import TutorialCaptioner

    captioner, batch = None, None
    while True:
        try:
            request, *values = connection.recv()
        except EOFError:
            return
        if request == "new":
            captioner = TutorialCaptioner(VOCABULARY)
            features, tokens = random_batch(*values)
            batch = tf.constant(features, tf.float32), tf.constant(tokens)
        else:
            for _ in range(*values):
                float(captioner.train_step(*batch))
        connection.send("done")


def random_batch(locations, words):
    """Returns float16[B, L, 512] and int32[B, T + 1]."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(BATCH, locations, 512)).astype("float16")
    return features, rng.integers(1, VOCABULARY, (BATCH, words + 1)).astype("int32")


def new_captioner(tokenizer, sequence_length, dtype, jit_compile):
    from keras_showattend import create_captioner

    captioner = create_captioner(
        tokenizer=tokenizer,
        encoder_weights=None,
        sequence_length=sequence_length,
        dtype=dtype,
        **SIZES,
    )
    captioner.backbone.image_encoder.trainable = False
    captioner.compile(jit_compile=jit_compile)
    return captioner


def made_up_tokenizer():
    from keras_showattend import CaptionTokenizer

    names = (f"word{number}" for number in range(VOCABULARY))
    return CaptionTokenizer.from_captions([" ".join(names)], min_count=1, max_size=VOCABULARY)


def step_of(locations, dtype="float32", jit_compile=False):
    """Returns a function that takes one step of a new model."""
    import keras

    captioner = new_captioner(made_up_tokenizer(), WORDS, dtype, jit_compile)
    features, tokens = random_batch(locations, WORDS)
    inputs = {"annotations": features, "token_ids": tokens[:, :-1]}
    inputs["padding_mask"] = np.ones((BATCH, WORDS), bool)
    weight = np.ones((BATCH, WORDS), "float32")
    # The captioner's own method would preprocess.
    return lambda: keras.Model.train_on_batch(captioner, inputs, tokens[:, 1:], weight)


def time_steps(tutorial, args):
    results = {}
    for locations in args.locations:
        tutorial.new(locations)
        runs = {
            BASELINE: tutorial.step,
            "keras_showattend": step_of(locations, args.dtype, args.jit_compile),
        }
        first = interleave(runs, 1, warmup=0)
        seconds = interleave(runs, args.repeats, warmup=1)
        compilation = {
            name: [first[name][0] - statistics.median(later)] for name, later in seconds.items()
        }
        title = f"\none step, {BATCH} captions of {WORDS} words, L = {locations}"
        print(table(title, seconds, BASELINE))
        print(table("\nthe first step of a new model, less a later one", compilation, BASELINE))
        results |= {f"step, L = {locations}": seconds, f"compilation, L = {locations}": compilation}
    return results


def time_epoch(tutorial, args):
    import keras

    from keras_showattend import CaptionTokenizer, read_flickr8k
    from keras_showattend.data.features import Features
    from keras_showattend.training import CaptionBatches, ImageInputs
    from keras_showattend.training.caption_batches import LENGTH_STEP

    class Sample(keras.utils.PyDataset):
        """Some batches of an epoch."""

        def __init__(self, batches, indices):
            super().__init__()
            self.batches, self.indices = batches, indices

        def __len__(self):
            return len(self.indices)

        def __getitem__(self, index):
            return self.batches[self.indices[index]]

    dataset = read_flickr8k(args.data).split("train")
    captions = [text for texts in dataset.captions for text in texts]
    tokenizer = CaptionTokenizer.from_captions(captions, min_count=1, max_size=VOCABULARY)
    longest = max(len(ids) for ids in tokenizer.tokenize(captions)) + 1
    captioner = new_captioner(tokenizer, longest, args.dtype, args.jit_compile)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "features.npy"
        np.save(path, np.random.default_rng(0).normal(size=(1024, 49, 512)).astype("float16"))
        shards = {"random": np.load(path, mmap_mode="r")}
        features = Features(shards, [("random", i % 1024) for i in range(len(dataset))])
        inputs = ImageInputs(dataset.images, captioner.preprocessor.image_converter, features)
        step = LENGTH_STEP if captioner.jit_compile else 1
        batches = CaptionBatches(
            dataset, captioner.preprocessor, inputs, args.batch_size, length_step=step
        )
        by_length = np.argsort([batches[i][1].shape[1] for i in range(len(batches))], kind="stable")
        # Keras compiles for any length once it has seen two at the start; see `CaptionBatches`.
        indices = list(by_length[args.every // 2 :: args.every])
        indices = [indices[-1], *indices[:-1]]
        sample = Sample(batches, [int(index) for index in indices])
        tutorial.new(49, longest)
        seconds = interleave(
            {
                BASELINE: lambda: tutorial.step(2),
                "keras_showattend": lambda: captioner.fit(sample, verbose=0),
            },
            max(3, args.repeats // 3),
            warmup=1,
        )
        words = [int(batches[i][2].sum()) for i in range(len(batches))]
    sampled = [words[index] for index in sample.indices]
    # By words, because the mean length of a sample differs slightly from that of the epoch.
    scale = {BASELINE: len(captions) / (2 * BATCH), "keras_showattend": sum(words) / sum(sampled)}
    seconds = {name: [scale[name] * t for t in times] for name, times in seconds.items()}
    print(
        f"\nan epoch: {len(captions)} captions, {sum(words)} words and ends, longest {longest}; "
        f"extrapolated from {len(sampled)} of {len(batches)} batches of {args.batch_size}, and "
        f"from 2 of the tutorial's of {BATCH}, in {len(seconds[BASELINE])} rounds"
    )
    print(table("", seconds, BASELINE))
    return {"epoch": seconds}


TIMINGS = {"epoch": time_epoch, "step": time_steps}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", help=f"{', '.join(TIMINGS)}; all by default")
    parser.add_argument("--data", type=pathlib.Path, help="folder of Flickr8k, needed by `epoch`")
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument(
        "--locations",
        "--places",
        type=int,
        nargs="+",
        default=[49, 196],
        help="locations, for `step`",
    )
    parser.add_argument("--every", type=int, default=16, help="`epoch` times every n-th batch")
    parser.add_argument("--batch-size", type=int, default=BATCH, help="of the package in `epoch`")
    parser.add_argument("--dtype", default="float32", help="dtype policy of the package's decoder")
    parser.add_argument("--jit-compile", action="store_true", help="XLA, or torch.compile")
    parser.add_argument("--output", type=pathlib.Path, help="JSON file")
    args = parser.parse_args()
    what = args.what or list(TIMINGS)
    if unknown := set(what) - set(TIMINGS):
        parser.error(f"choose from {list(TIMINGS)}. Received: {sorted(unknown)}")
    if "epoch" in what and args.data is None:
        parser.error("`epoch` needs --data")

    tutorial = Tutorial()
    backend = os.environ["KERAS_BACKEND"]
    print(f"KERAS_BACKEND={backend}, {args.dtype}, jit_compile={args.jit_compile}")
    results = {}
    for name in what:
        results.update(TIMINGS[name](tutorial, args))
    if args.output:
        speeds = {name: ratios(seconds, BASELINE) for name, seconds in results.items()}
        write_json(args.output, {"seconds": results, "ratios": speeds})


if __name__ == "__main__":
    main()
