"""Fine-tunes a preset on your own images.

    python examples/train_own_photos.py captions.csv --output my_captioner

`captions.csv` has the columns `image` (a file beside it or in its folder `images`) and
`caption`, with one row a caption. Starting from a preset takes few images and keeps the preset's
vocabulary; `keras-showattend train` builds a vocabulary of its own.
"""

import argparse

import keras

from keras_showattend import ImageCaptioner, read_captions_file


def main():
    """Reads, splits by image, trains with early stopping, saves, and captions one image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("captions")
    parser.add_argument("--output", required=True)
    parser.add_argument("--preset", default="vgg16_gru_flickr8k")
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()

    dataset = read_captions_file(args.captions).random_split({"train": 0.8, "dev": 0.2})
    train, dev = dataset.split("train"), dataset.split("dev")

    captioner = ImageCaptioner.from_preset(args.preset)
    # The encoder was trained on a million images: keep it, and train the decoder.
    captioner.backbone.image_encoder.trainable = False
    captioner.compile(optimizer=keras.optimizers.Adam(1e-4, global_clipnorm=5.0))
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    captioner.fit(train, validation_data=dev, epochs=args.epochs, callbacks=[stop])

    captioner.save_to_preset(args.output)
    print(dev.ids[0], captioner.generate(dev.images[0]), sep="\t")


if __name__ == "__main__":
    main()
