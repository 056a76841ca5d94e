"""`CaptionSearch` and `GenerateFunction`: beams and samplers over a whole captioner."""

import dataclasses

import keras
import keras_hub
import numpy as np
import pytest
from layer_checks import numpy
from numpy_reference import caption_log_probability, randomize

from keras_showattend.search import CaptionSearch, GenerateFunction, SearchOptions

BACKEND = keras.backend.backend()
PAD, START, END, UNKNOWN = range(4)
V, T, IMAGES = 13, 7, 4
OPTIONS = SearchOptions(T, no_repeat_ngram_size=0)


@pytest.fixture(scope="module")
def captioner(tiny_captioner):
    keras.utils.set_random_seed(11)
    captioner = tiny_captioner(scale=1 / 255)
    randomize(captioner.backbone, seed=12)
    return captioner


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(9).uniform(0, 1, (IMAGES, 8, 12, 3)).astype("float32")


def new_search(captioner, **options):
    tokenizer = captioner.preprocessor.tokenizer
    return CaptionSearch(captioner.backbone, tokenizer, max_length=T, **options)


def run(search, inputs, jit_compile="auto", run_eagerly=False):
    search.compile(jit_compile=jit_compile, run_eagerly=run_eagerly)
    return search.predict_on_batch(inputs)


def check_captions(captioner, images, outputs, beams=1, length_penalty=0.0):
    """Shapes, well-formed captions, and log-probabilities by teacher forcing."""
    assert outputs["token_ids"].shape == (len(images), beams, T)
    assert outputs["log_probabilities"].shape == outputs["scores"].shape == (len(images), beams)
    for row, image in enumerate(images):
        for beam in range(beams):
            tokens = outputs["token_ids"][row, beam]
            ends = np.flatnonzero(tokens == END)
            length = ends[0] + 1 if ends.size else T
            assert (tokens[length:] == PAD).all()
            assert not {PAD, START, UNKNOWN} & set(tokens[:length].tolist())
            inputs = {
                "images": image[None],
                "token_ids": np.array([[START, *tokens[: length - 1]]], dtype="int32"),
            }
            logits = numpy(captioner.backbone(inputs)["logits"])[0]
            expected = caption_log_probability(logits, tokens[:length])
            np.testing.assert_allclose(
                outputs["log_probabilities"][row, beam], expected, atol=1e-4, rtol=1e-5
            )
            np.testing.assert_allclose(
                outputs["scores"][row, beam],
                expected / length**length_penalty,
                atol=1e-4,
                rtol=1e-5,
            )


@pytest.mark.parametrize("num_beams", [1, 5])
def test_beams(captioner, images, num_beams):
    outputs = run(
        new_search(captioner, num_beams=num_beams, length_penalty=0.7), {"images": images}
    )
    check_captions(captioner, images, outputs, num_beams, 0.7)
    # Best first, and no caption twice.
    assert (np.diff(outputs["scores"], axis=1) <= 0).all()
    for captions in outputs["token_ids"]:
        assert len({tuple(caption) for caption in captions.tolist()}) == num_beams


def test_annotations_in_place_of_images(captioner, images):
    search = new_search(captioner, num_beams=3)
    annotations = numpy(captioner.backbone.image_encoder(images))
    from_images = run(search, {"images": images}, run_eagerly=True)
    from_annotations = run(search, {"annotations": annotations}, run_eagerly=True)
    np.testing.assert_array_equal(from_images["token_ids"], from_annotations["token_ids"])


SAMPLERS = {
    "greedy": lambda: keras_hub.samplers.GreedySampler(),
    "top_k": lambda: keras_hub.samplers.TopKSampler(k=3, seed=1),
    "top_p": lambda: keras_hub.samplers.TopPSampler(p=0.6, seed=1),
    "random": lambda: keras_hub.samplers.RandomSampler(seed=1, temperature=2.0),
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(captioner, images, name):
    outputs = run(
        new_search(captioner, sampler=SAMPLERS[name](), length_penalty=0.7), {"images": images}
    )
    check_captions(captioner, images, outputs, length_penalty=0.7)


@pytest.fixture(scope="module")
def greedy(captioner, images):
    return run(new_search(captioner), {"images": images})["token_ids"]


@pytest.mark.parametrize(
    "sampler",
    [
        keras_hub.samplers.GreedySampler,
        lambda: keras_hub.samplers.TopKSampler(k=1),
        lambda: keras_hub.samplers.TopPSampler(p=1e-6),
    ],
    ids=["greedy", "top_1", "top_p_of_one_word"],
)
def test_samplers_without_choice_are_greedy(captioner, images, greedy, sampler):
    outputs = run(new_search(captioner, sampler=sampler()), {"images": images}, run_eagerly=True)
    np.testing.assert_array_equal(outputs["token_ids"], greedy)


def test_random_sampling_moves_on_and_can_be_repeated(captioner, images):
    def sample():
        search = new_search(captioner, sampler=SAMPLERS["random"]())
        search.compile()
        return [search.predict_on_batch({"images": images})["token_ids"] for _ in range(2)]

    first, second = sample(), sample()
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="torch.compile needs a C++ compiler and a minute"
)
@pytest.mark.parametrize("sampler", [None, "top_k"])
def test_compiled_search_is_the_same(captioner, images, sampler):
    def outputs(jit_compile):
        options = {"sampler": SAMPLERS[sampler]()} if sampler else {"num_beams": 3}
        return run(new_search(captioner, **options), {"images": images}, jit_compile)

    compiled, plain = outputs(True), outputs(False)
    check_captions(captioner, images, compiled, 1 if sampler else 3)
    if sampler is None:
        # XLA draws other random numbers, so only the beams are comparable.
        np.testing.assert_array_equal(compiled["token_ids"], plain["token_ids"])


def test_mixed_precision(tiny_captioner, images):
    captioner = tiny_captioner(dtype="mixed_bfloat16")
    outputs = run(new_search(captioner, num_beams=3), {"images": images})
    assert np.isfinite(outputs["scores"]).all()
    outputs = run(new_search(captioner, sampler=SAMPLERS["top_k"]()), {"images": images})
    assert np.isfinite(outputs["scores"]).all()


def generate_function(captioner, sampler):
    tokenizer = captioner.preprocessor.tokenizer
    return GenerateFunction(captioner.backbone, tokenizer, sampler, run_eagerly=True)


def test_generate_function_reads_beams_from_the_sampler(captioner, images, greedy):
    inputs = {"images": images}
    beam = generate_function(captioner, keras_hub.samplers.BeamSampler(num_beams=3))
    assert beam(inputs, OPTIONS)["token_ids"].shape == (IMAGES, 3, T)
    assert beam(inputs, dataclasses.replace(OPTIONS, num_beams=2))["token_ids"].shape == (
        IMAGES,
        2,
        T,
    )
    one = generate_function(captioner, keras_hub.samplers.GreedySampler())
    np.testing.assert_array_equal(one(inputs, OPTIONS)["token_ids"], greedy)


def test_generate_function_prefers_beams_that_are_asked_for(captioner, images, greedy):
    function = generate_function(captioner, SAMPLERS["random"]())
    asked = function({"images": images}, dataclasses.replace(OPTIONS, num_beams=1))
    np.testing.assert_array_equal(asked["token_ids"], greedy)
    sampled = function({"images": images}, OPTIONS)
    assert sampled["token_ids"].shape == (IMAGES, 1, T)


def test_generate_function_compiles_each_setting_once(captioner, images):
    function = generate_function(captioner, keras_hub.samplers.GreedySampler())
    inputs = {"images": images}
    long, short = (
        function(inputs, OPTIONS),
        function(inputs, dataclasses.replace(OPTIONS, max_length=2)),
    )
    assert short["token_ids"].shape == (IMAGES, 1, 2)
    again = function(inputs, OPTIONS)
    np.testing.assert_array_equal(long["token_ids"], again["token_ids"])
    assert len(function._searches) == 2
    assert all(isinstance(value, np.ndarray) for value in long.values())


def test_thirty_penalties_are_one_search(captioner, images):
    function = GenerateFunction(
        captioner.backbone, captioner.preprocessor.tokenizer, keras_hub.samplers.BeamSampler(3)
    )
    for number in range(30):
        penalty = number / 10
        options = dataclasses.replace(OPTIONS, length_penalty=penalty)
        outputs = function({"images": images}, options)
        tokens = outputs["token_ids"]
        lengths = np.minimum((tokens != PAD).sum(-1), T)
        expected = outputs["log_probabilities"] / lengths**penalty
        np.testing.assert_allclose(outputs["scores"], expected, rtol=1e-5)
        assert (np.diff(outputs["scores"], axis=1) <= 0).all()
    assert len(function._searches) == 1
    [(plain, by_xla)] = compiled(function)
    assert (plain, by_xla or 0) == (1, int(BACKEND == "tensorflow"))


def test_the_searches_that_were_used_last_are_kept(captioner, images, monkeypatch):
    # Each is compiled.
    monkeypatch.setattr("keras_showattend.search.generate_function.MAX_SEARCHES", 3)
    function = generate_function(captioner, keras_hub.samplers.GreedySampler())
    for length in [1, 2, 3, 1, 5]:
        options = dataclasses.replace(OPTIONS, max_length=length)
        outputs = function({"images": images[:1]}, options)
        assert outputs["token_ids"].shape == (1, 1, length)
    kept = [options.max_length for options in function._searches]
    assert kept == [3, 1, 5]


def compiled(function):
    """For each search the graphs that were compiled without XLA and with it."""
    return [
        (
            len(search._compiled._functions),
            None if search._compiled_by_xla is None else len(search._compiled_by_xla._functions),
        )
        for search in function._searches.values()
    ]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow waits")
def test_xla_compiles_a_number_of_images_that_comes_again(captioner, images, greedy):
    tokenizer = captioner.preprocessor.tokenizer
    function = GenerateFunction(captioner.backbone, tokenizer, keras_hub.samplers.GreedySampler())
    for count, by_xla in ((IMAGES, 0), (IMAGES, 1), (IMAGES, 1), (2, 1)):
        outputs = function({"images": images[:count]}, OPTIONS)
        np.testing.assert_array_equal(outputs["token_ids"], greedy[:count])
        assert compiled(function) == [(1, by_xla)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only TensorFlow waits")
def test_one_image_that_comes_again(captioner, images):
    tokenizer = captioner.preprocessor.tokenizer
    function = GenerateFunction(captioner.backbone, tokenizer, keras_hub.samplers.GreedySampler())
    first, *later = (function({"images": images[1:2]}, OPTIONS) for _ in range(3))
    assert compiled(function) == [(1, 1)]
    for outputs in later:
        assert outputs["token_ids"].shape == (1, 1, T)
        np.testing.assert_array_equal(outputs["token_ids"], first["token_ids"])
        np.testing.assert_allclose(outputs["scores"], first["scores"], rtol=1e-5)


def test_no_xla_where_it_was_refused(captioner, images):
    captioner.compile(jit_compile=False)
    function = captioner.generation.search
    for _ in range(3):
        function({"images": images}, dataclasses.replace(OPTIONS, num_beams=1))
    assert compiled(function) == [(1, None)]
    (search,) = function._searches.values()
    assert not search._compiled.uses_xla


def test_images_and_annotations_are_searched_alike(captioner, images):
    function = generate_function(captioner, keras_hub.samplers.GreedySampler())
    encoded = function.encode({"images": images})
    assert set(encoded) == {"annotations"}
    np.testing.assert_allclose(
        encoded["annotations"], numpy(captioner.backbone.image_encoder(images)), rtol=1e-5
    )
    assert function.encode(encoded) is encoded
    from_images, from_annotations = (
        function(inputs, dataclasses.replace(OPTIONS, num_beams=3))
        for inputs in ({"images": images}, encoded)
    )
    np.testing.assert_array_equal(from_images["token_ids"], from_annotations["token_ids"])
