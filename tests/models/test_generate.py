"""`ImageCaptioner.generate` and `generate_stream`: every kind of picture, and what is none."""

import concurrent.futures
import io
import logging
import pathlib

import keras
import keras_hub
import numpy as np
import pytest
from captioner_checks import picture, save_pictures, sharpen
from PIL import Image

from keras_showattend import CaptionHypothesis, ImageCaptioner, ImageError
from keras_showattend.search.hypothesis import hypotheses

COUNT = 5


@pytest.fixture(scope="module")
def captioner(tiny_captioner):
    keras.utils.set_random_seed(21)
    captioner = sharpen(tiny_captioner())
    captioner.compile(sampler="greedy")
    return captioner


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def paths(folder):
    return save_pictures(folder, COUNT)


@pytest.fixture(scope="module")
def captions(captioner, paths):
    return captioner.generate(paths)


def test_captions_differ(captions):
    # Otherwise a mixed-up order would go unnoticed.
    assert len(set(captions)) >= 3
    assert all(isinstance(text, str) and text[0].isupper() for text in captions)
    assert not any(mark in text for text in captions for mark in "<>")


def opened(path):
    with Image.open(path) as image:
        image.load()
    return image


SINGLE = {
    "str": lambda path: path,
    "path": pathlib.Path,
    "bytes": lambda path: pathlib.Path(path).read_bytes(),
    "file object": lambda path: io.BytesIO(pathlib.Path(path).read_bytes()),
    "pil": opened,
    "uint8": lambda path: picture(2),
    "float32": lambda path: picture(2).astype("float32"),
    "float64": lambda path: picture(2).astype("float64"),
    "tensor": lambda path: keras.ops.convert_to_tensor(picture(2)),
    "rgba": lambda path: np.dstack([picture(2), np.full((8, 12), 255, "uint8")]),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_one_in_one_str_out(captioner, paths, captions, kind):
    assert captioner.generate(SINGLE[kind](paths[2])) == captions[2]


def test_grey(captioner):
    grey = picture(3)[:, :, 0]
    expected = captioner.generate(np.dstack([grey] * 3))
    assert captioner.generate(grey) == captioner.generate(grey[:, :, None]) == expected
    assert captioner.generate(Image.fromarray(grey)) == expected


def test_a_list_of_mixed_kinds_and_sizes(captioner, paths, captions):
    large = picture(8, 30, 40)
    found = captioner.generate([paths[1], picture(3), opened(paths[0]), large, paths[2]])
    assert found == [captions[1], captions[3], captions[0], captioner.generate(large), captions[2]]


def test_a_list_of_one_gives_a_list(captioner, paths, captions):
    assert captioner.generate(paths[:1]) == captions[:1]


def test_batch_array(captioner, captions):
    assert captioner.generate(np.stack([picture(n) for n in range(COUNT)])) == captions


def test_array_of_paths(captioner, paths, captions):
    assert captioner.generate(np.array(paths)) == captions


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_more_images_than_a_batch_holds(captioner, paths, captions, batch_size):
    assert captioner.generate(paths, batch_size=batch_size) == captions


def test_a_batch_holds_an_image(captioner, paths):
    for generate in (captioner.generate, captioner.generate_stream):
        with pytest.raises(ValueError, match="`batch_size` must be a positive int. .*batch_size=0"):
            generate(paths, batch_size=0)


def test_annotations(captioner, captions):
    images = np.stack([picture(n) for n in range(COUNT)]).astype("float32") / 255
    annotations = keras.ops.convert_to_numpy(captioner.backbone.image_encoder(images))
    inputs = {"annotations": annotations}
    assert captioner.generate(inputs) == captions
    assert set(inputs) == {"annotations"}


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="tf.data is tested on TensorFlow alone"
)
@pytest.mark.parametrize("kind", ["unbatched", "batched", "paths", "bytes", "dict", "pair"])
def test_tf_data(captioner, paths, captions, kind):
    import tensorflow as tf

    pixels = np.stack([picture(n) for n in range(COUNT)])
    tensors = {
        "paths": paths,
        "bytes": [pathlib.Path(path).read_bytes() for path in paths],
        "dict": {"images": pixels, "captions": ["a dog"] * COUNT},
        "pair": (pixels, np.arange(COUNT)),
    }.get(kind, pixels)
    data = tf.data.Dataset.from_tensor_slices(tensors)
    if kind not in ("unbatched", "bytes"):
        data = data.batch(2)
    assert captioner.generate(data) == captions


def test_capitalize(captioner, paths, captions):
    plain = captioner.generate(paths, capitalize=False)
    assert plain == [text[0].lower() + text[1:] for text in captions]


def test_max_length(captioner, paths):
    captions = captioner.generate(paths, max_length=2)
    assert max(len(text.split()) for text in captions) == 2


def test_a_caption_tells_whether_it_was_cut(captioner):
    tokenizer = captioner.preprocessor.tokenizer
    end, pad = tokenizer.end_token_id, tokenizer.pad_token_id
    a, dog, runs = (tokenizer.token_to_id(word) for word in ("a", "dog", "runs"))
    outputs = {
        "token_ids": np.array([[[a, dog, end, pad], [a, dog, runs, end], [a, dog, a, dog]]]),
        "log_probabilities": np.array([[-1.0, -2.0, -3.0]]),
        "scores": np.array([[-0.5, -0.75, -0.875]]),
    }
    (beams,) = hypotheses(captioner.preprocessor.tokenizer, outputs, capitalize=True)
    assert [beam[:6] for beam in beams] == [
        ("A dog", -1.0, -0.5, 3, True, ("a", "dog")),
        ("A dog runs", -2.0, -0.75, 4, True, ("a", "dog", "runs")),
        ("A dog a dog", -3.0, -0.875, 4, False, ("a", "dog", "a", "dog")),
    ]


def test_all_beams(captioner, paths):
    options = {"num_beams": 4, "length_penalty": 0.5, "return_all_beams": True}
    rows = captioner.generate(paths, capitalize=False, **options)
    assert len(rows) == COUNT
    for path, beams in zip(paths, rows, strict=True):
        assert len({beam.text for beam in beams}) == len(beams) == 4
        scores = [beam.score for beam in beams]
        assert scores == sorted(scores, reverse=True)
        for beam in beams:
            assert type(beam) is CaptionHypothesis
            length, expected = teacher_forced(captioner, path, beam.text)
            assert beam.log_probability == pytest.approx(expected, abs=1e-4)
            assert beam.score == pytest.approx(expected / length**0.5, abs=1e-4)
            assert beam.num_tokens == length
    [one] = captioner.generate(paths[:1], capitalize=False, **options)
    assert captioner.generate(paths[0], capitalize=False, **options)[0].text == one[0].text
    assert captioner.generate(paths, num_beams=4, length_penalty=0.5, capitalize=False) == [
        beams[0].text for beams in rows
    ]


def teacher_forced(captioner, path, text):
    """Steps and log-probability of a caption, the end where it fits included."""
    preprocessor = captioner.preprocessor
    tokenizer = preprocessor.tokenizer
    tokens = [*tokenizer.tokenize(text), tokenizer.end_token_id][: preprocessor.sequence_length]
    read = np.array([[tokenizer.start_token_id, *tokens[:-1]]], "int32")
    images = preprocessor.convert_images([path])
    logits = keras.ops.convert_to_numpy(captioner({"images": images, "token_ids": read}))[0]
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    return len(tokens), log_probabilities[np.arange(len(tokens)), tokens].sum()


def test_length_penalty_reorders(captioner, paths):
    def words(penalty):
        found = captioner.generate(paths, num_beams=4, length_penalty=penalty)
        return sum(len(text.split()) for text in found)

    assert words(3.0) > words(0.0)


@pytest.mark.parametrize("sampler", ["beam", "greedy", "random"])
def test_no_word_twice(captioner, paths, sampler):
    other = ImageCaptioner(captioner.backbone, captioner.preprocessor)
    other.compile(sampler=sampler)

    def repeated(size):
        texts = other.generate(paths, capitalize=False, no_repeat_ngram_size=size)
        return [len(words) - len(set(words)) for words in map(str.split, texts)]

    assert sum(repeated(0)) > 0
    assert repeated(1) == [0] * COUNT


def test_sampler_of_compile(tiny_captioner, captioner, paths, captions):
    def generate(sampler, **options):
        other = ImageCaptioner(captioner.backbone, captioner.preprocessor)
        other.compile(sampler=sampler)
        return other.generate(paths, **options)

    assert generate("greedy") == captions
    # What the call says goes before what `compile` says.
    assert generate("random", num_beams=1) == captions
    beams = generate(keras_hub.samplers.BeamSampler(num_beams=4), length_penalty=0.5)
    assert beams == captioner.generate(paths, num_beams=4, length_penalty=0.5)
    assert generate(keras_hub.samplers.TopKSampler(k=1)) == captions
    known = {*captioner.preprocessor.tokenizer.get_vocabulary()}
    for sampler in ("top_k", "top_p", "random"):
        for text in generate(sampler, capitalize=False):
            assert set(text.split()) <= known


def test_bad_images_are_skipped_on_request(captioner, paths, captions, folder):
    bad = folder / "bad.png"
    bad.write_bytes(b"no image")
    sources = [paths[0], bad, paths[1], b"", *paths[2:]]
    with pytest.raises(ImageError, match=r"bad\.png"):
        captioner.generate(sources)
    found = captioner.generate(sources, on_error="skip", batch_size=3)
    assert found == [captions[0], None, captions[1], None, *captions[2:]]
    rows = captioner.generate(sources, on_error="skip", return_all_beams=True)
    assert [None if row is None else row[0].text for row in rows] == found
    assert captioner.generate(bad, on_error="skip") is None
    assert captioner.generate([bad], on_error="skip") == [None]
    # What is no list of images is a mistake of the call.
    with pytest.raises(ImageError, match="at least one|Received"):
        captioner.generate([], on_error="skip")
    with pytest.raises(ValueError, match=r"`on_error` must be one of .* Received: .*'return'"):
        captioner.generate(paths, on_error="return")


def test_eight_threads_give_the_captions_of_one(captioner, paths, captions):
    # Two searches of two sizes, which are compiled while the others wait.
    other = ImageCaptioner(captioner.backbone, captioner.preprocessor)
    expected = {1: captions, 2: captioner.generate(paths, num_beams=2)}

    def caption(call):
        start, beams = call // 2 % 2, 1 + call % 2
        return beams, start, other.generate(paths[start:], num_beams=beams)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(caption, range(200)))
    assert len(found) == 200
    assert all(texts == expected[beams][start:] for beams, start, texts in found)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="TensorFlow's own warning")
def test_no_warning_of_retracing(captioner, paths):
    import tensorflow as tf

    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    tf.get_logger().addHandler(handler)
    try:
        other = ImageCaptioner(captioner.backbone, captioner.preprocessor)
        for num_beams in range(1, 7):
            other.generate(paths[:2], num_beams=num_beams, max_length=2)
        for sampler in ("greedy", "top_k"):
            other.compile(sampler=sampler)
            other.generate(paths[:2], max_length=2)
    finally:
        tf.get_logger().removeHandler(handler)
    assert [text for text in messages if "retracing" in text] == []


def test_uncompiled(captioner, paths, captions):
    bare = ImageCaptioner(captioner.backbone, captioner.preprocessor, compile=False)
    assert bare.generate(paths) == captioner.generate(paths, num_beams=5)
    assert bare.generate(paths, num_beams=1) == captions


def test_stream_goes_on_after_a_bad_image(captioner, paths, captions, folder):
    bad = folder / "broken.png"
    bad.write_bytes(b"no picture")
    sources = [paths[0], str(bad), paths[1], folder / "nowhere.png", b"", *paths[2:]]
    found = list(captioner.generate_stream(iter(sources), batch_size=3))
    assert [type(item) for item in found] == [
        list, ImageError, list, ImageError, ImageError, list, list, list
    ]  # fmt: skip
    assert [item[0].text for item in found if isinstance(item, list)] == captions
    assert "broken.png" in str(found[1])
    assert "nowhere.png" in str(found[3])


def test_stream_reads_little_ahead(captioner, paths):
    asked = []

    def sources():
        for number in range(20):
            asked.append(number)
            yield paths[number % COUNT]

    stream = captioner.generate_stream(sources(), batch_size=2)
    assert asked == []
    next(stream)
    assert len(asked) <= 4
    stream.close()


def test_stream_of_bad_images_only(captioner):
    found = list(captioner.generate_stream([b"", b"none"], batch_size=1))
    assert [type(item) for item in found] == [ImageError, ImageError]
    assert list(captioner.generate_stream([])) == []


def written(folder, name, content):
    (folder / name).write_bytes(content)
    return str(folder / name)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


BAD = {
    "not an image": (lambda f: written(f, "a.jpg", b"hello"), r"no image Pillow can read.*a\.jpg"),
    "zero bytes": (lambda f: written(f, "b.jpg", b""), r"zero bytes.*b\.jpg"),
    "missing": (lambda f: str(f / "c.jpg"), r"no such file.*c\.jpg"),
    "folder": (str, "A folder is no image"),
    "url": (lambda f: "https://example.org/dog.jpg", "Nothing is downloaded"),
    "empty list": (lambda f: [], "at least one|nothing|Received"),
    "nan": (lambda f: np.full((8, 12, 3), np.nan), "finite numbers"),
    "0..1": (lambda f: picture(0) / 255, "look like 0..1: multiply the array by 255"),
    "-1..1": (lambda f: picture(0) / 127.5 - 1, "undo a normalisation"),
    "channels first": (lambda f: np.zeros((3, 8, 12), "uint8"), "channels last"),
    "dict": (lambda f: {"pictures": [picture(0)]}, "out of a dict"),
    "number": (lambda f: 5, "one path, array or PIL image"),
    "none": (lambda f: None, "one path, array or PIL image"),
    "one of many": (lambda f: [picture(0), written(f, "d.jpg", b"hello")], r"d\.jpg"),
    "truncated": (
        lambda f: encoded(Image.fromarray(picture(0, 64, 64)), "JPEG")[:-300],
        "JPEG is truncated",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_pictures(captioner, tmp_path, kind):
    make, message = BAD[kind]
    with pytest.raises(ImageError, match=rf"(?s){message}") as caught:
        captioner.generate(make(tmp_path))
    assert "Received: " in str(caught.value)


def test_decompression_bomb(captioner, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(ImageError, match="decompression bomb"):
        captioner.generate(
            written(tmp_path, "big.png", encoded(Image.fromarray(picture(0)), "PNG"))
        )


ODD = {
    "1 x 1": lambda: np.full((1, 1, 3), 90, "uint8"),
    "1 x 10000": lambda: picture(0, 1, 10_000),
    "10000 x 1": lambda: picture(0, 10_000, 1),
    "gif": lambda: encoded(
        Image.fromarray(picture(0)),
        "GIF",
        save_all=True,
        append_images=[Image.fromarray(picture(1))],
    ),
    "palette": lambda: Image.fromarray(picture(0)).convert("P"),
    "cmyk": lambda: Image.fromarray(picture(0)).convert("CMYK"),
    "16 bit": lambda: Image.fromarray(picture(0)[:, :, 0].astype("uint16") * 257),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_pictures(captioner, kind):
    assert isinstance(captioner.generate(ODD[kind]()), str)


@pytest.mark.parametrize(
    "options",
    [
        {"num_beams": 0},
        {"num_beams": 1.5},
        {"max_length": 0},
        {"max_length": -3},
        {"no_repeat_ngram_size": -1},
        {"no_repeat_ngram_size": 1.5},
    ],
    ids=str,
)
def test_bad_options(captioner, options):
    [name] = options
    with pytest.raises(ValueError, match=f"`{name}` must be a positive int.* Received: {name}="):
        captioner.generate(picture(0), **options)
    with pytest.raises(ValueError, match=f"`{name}` must be a positive int"):
        captioner.generate_stream([picture(0)], **options)


def test_without_a_preprocessor(captioner):
    bare = ImageCaptioner(captioner.backbone)
    with pytest.raises(ValueError, match="`generate` needs a preprocessor"):
        bare.generate(picture(0))
