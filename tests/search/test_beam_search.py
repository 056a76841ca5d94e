"""`beam_search`: known chains of words, exhaustive search, greedy search, a real decoder."""

import itertools
import math

import keras
import numpy as np
import pytest
from keras import ops
from layer_checks import numpy
from numpy_reference import (
    caption_log_probability,
    decode,
    decoder_weights_of,
    exhaustive_search,
    randomize,
)

from keras_showattend.layers import CaptionDecoder
from keras_showattend.search import beam_search

PAD, START, END, UNKNOWN, A, B = range(6)
IDS = {"start_id": START, "end_id": END, "pad_id": PAD, "forbidden_ids": (UNKNOWN,)}
# Each row gives the probabilities of the word that follows; START, A and B can be followed.
CHAIN = {
    START: {A: 0.6, B: 0.4},
    A: {END: 0.9, A: 0.1},
    B: {B: 0.999, END: 0.001},
}


def chain_step(chain):
    table = np.full((6, 6), -30.0, dtype="float32")
    for word, followers in chain.items():
        for follower, probability in followers.items():
            table[word, follower] = math.log(probability)

    def step(token_ids, states):
        # The state counts the steps, so that its way through the beams can be seen.
        return ops.take(ops.convert_to_tensor(table), token_ids, axis=0), [states[0] + 1]

    return step


def search_chain(chain, batch_size=1, **options):
    settings = {"vocabulary_size": 6, "num_beams": 2, "max_length": 5, **IDS, **options}
    states = [ops.zeros((batch_size * settings["num_beams"], 1))]
    outputs = beam_search(chain_step(chain), states, batch_size, **settings)
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


def test_finished_beams_are_frozen():
    outputs = search_chain(CHAIN)
    assert outputs["token_ids"].dtype == np.int32
    # "a" and its end, 0.6 * 0.9, stays as it is for the three steps that "b b b b b" takes.
    assert outputs["token_ids"].tolist() == [[[A, END, PAD, PAD, PAD], [B] * 5]]
    expected = [math.log(0.54), math.log(0.4 * 0.999**4)]
    np.testing.assert_allclose(outputs["log_probabilities"], [expected], atol=1e-5)
    np.testing.assert_allclose(outputs["scores"], [expected], atol=1e-5)


def test_length_penalty_turns_the_order():
    outputs = search_chain(CHAIN, length_penalty=1.0)
    assert outputs["token_ids"].tolist() == [[[B] * 5, [A, END, PAD, PAD, PAD]]]
    # Divided by five words, and by one word and its end.
    np.testing.assert_allclose(
        outputs["scores"], [[math.log(0.4 * 0.999**4) / 5, math.log(0.54) / 2]], atol=1e-5
    )
    np.testing.assert_allclose(
        outputs["log_probabilities"], [[math.log(0.4 * 0.999**4), math.log(0.54)]], atol=1e-5
    )


def test_a_beam_may_overtake():
    # "a" is likelier at first, but two beams see that "b" leads further.
    chain = {START: {A: 0.55, B: 0.45}, A: {A: 0.4, B: 0.3, END: 0.3}, B: {END: 1.0}}
    greedy = search_chain(chain, num_beams=1, max_length=3)
    assert greedy["token_ids"].tolist() == [[[A, A, A]]]
    wide = search_chain(chain, num_beams=2, max_length=3)
    assert wide["token_ids"][0, 0].tolist() == [B, END, PAD]
    np.testing.assert_allclose(wide["log_probabilities"][0, 0], math.log(0.45), atol=1e-5)


def test_max_length_cuts_without_an_end():
    outputs = search_chain({START: {A: 1.0}, A: {A: 1.0}}, num_beams=1, max_length=4)
    assert outputs["token_ids"].tolist() == [[[A, A, A, A]]]
    outputs = search_chain(CHAIN, num_beams=1, max_length=1)
    assert outputs["token_ids"].tolist() == [[[A]]]
    np.testing.assert_allclose(outputs["log_probabilities"], [[math.log(0.6)]], atol=1e-5)


def test_an_empty_caption_is_a_caption():
    outputs = search_chain({START: {END: 0.9, A: 0.1}, A: {END: 1.0}})
    assert outputs["token_ids"][0].tolist() == [[END] + [PAD] * 4, [A, END, PAD, PAD, PAD]]
    np.testing.assert_allclose(
        outputs["log_probabilities"], [[math.log(0.9), math.log(0.1)]], atol=1e-5
    )


@pytest.mark.parametrize("num_beams", [1, 3])
def test_forbidden_tokens_never_appear(num_beams):
    likes_forbidden = {PAD: 0.3, START: 0.2, UNKNOWN: 0.2, A: 0.2, END: 0.1}
    chain = dict.fromkeys([START, A, B, UNKNOWN], likes_forbidden)
    outputs = search_chain(chain, num_beams=num_beams, max_length=4)
    for tokens in outputs["token_ids"][0]:
        words = tokens[: np.flatnonzero(tokens == END)[0]] if END in tokens else tokens
        assert set(words) <= {A, B}
    # Their share of the softmax is not given to the others: teacher forcing would not.
    best = outputs["log_probabilities"][0, 0]
    expected = [math.log(0.2**4), math.log(0.1)]
    np.testing.assert_allclose(best, expected[0 if num_beams == 1 else 1], atol=1e-5)


# "a b a b a b" is what it likes best.
LOOP = {START: {A: 1.0}, A: {B: 0.9, A: 0.06, END: 0.04}, B: {A: 0.7, B: 0.2, END: 0.1}}


@pytest.mark.parametrize(
    ("size", "caption", "probability"),
    [
        (0, [A, B, A, B, A, B], 0.9 * 0.7 * 0.9 * 0.7 * 0.9),
        # Every word once.
        (1, [A, B, END], 0.9 * 0.1),
        # "a b" and "b a" once: after "a b a" comes "a", and then nothing but the end.
        (2, [A, B, A, A, END], 0.9 * 0.7 * 0.06 * 0.04),
        # After "a b a b" not "a", so "b", and "b b" again is not "b b b" again.
        (3, [A, B, A, B, B, A], 0.9 * 0.7 * 0.9 * 0.2 * 0.7),
        # Longer than the caption.
        (7, [A, B, A, B, A, B], 0.9 * 0.7 * 0.9 * 0.7 * 0.9),
    ],
)
def test_no_group_of_words_twice(size, caption, probability):
    outputs = search_chain(LOOP, num_beams=1, max_length=6, no_repeat_ngram_size=size)
    assert outputs["token_ids"].tolist() == [[caption + [PAD] * (6 - len(caption))]]
    # Words that may not come keep their share of the softmax, as in teacher forcing.
    np.testing.assert_allclose(outputs["log_probabilities"], [[math.log(probability)]], atol=1e-4)


def test_each_beam_has_its_own_repetitions():
    outputs = search_chain(LOOP, batch_size=3, num_beams=4, max_length=6, no_repeat_ngram_size=2)
    for tokens in outputs["token_ids"].reshape(-1, 6).tolist():
        words = tokens[: tokens.index(PAD)] if PAD in tokens else tokens
        assert len(set(itertools.pairwise(words))) == len(words) - 1
    # The three images are alike.
    assert (outputs["token_ids"] == outputs["token_ids"][:1]).all()
    # "a b" and the end, before "a b b".
    assert outputs["token_ids"][0, 0].tolist() == [A, B, END, PAD, PAD, PAD]


def test_surplus_beams_are_impossible():
    # One word at most gives three captions: the end, and two words cut off.
    outputs = search_chain(
        {START: {A: 0.5, B: 0.3, END: 0.2}}, num_beams=5, max_length=1, length_penalty=0.7
    )
    assert outputs["token_ids"][0, :3, 0].tolist() == [A, B, END]
    assert (outputs["log_probabilities"][0, 3:] < -1e8).all()
    assert (outputs["log_probabilities"][0, :3] > -2).all()


def test_states_follow_their_beams():
    """The state is the caption's own history, so a beam with another's state is seen."""
    word_values = np.array([0, 0, 0, 0, 1, 2], dtype="float32")

    def step(token_ids, states):
        history = 3 * states[0] + ops.expand_dims(ops.take(word_values, token_ids), -1)
        # What comes next depends on the whole history by way of a wave without a period.
        ids = ops.expand_dims(ops.arange(6, dtype="float32"), 0)
        return 2 * ops.sin(history * (ids + 1.3)), [history]

    def next_logits(words):
        history = 0.0
        for word in words:
            history = 3 * history + word_values[word]
        return 2 * np.sin(history * (np.arange(6) + 1.3))

    # 1 + 2 + 4 captions that end, and 8 that are cut.
    outputs = beam_search(
        step, [ops.zeros((15, 1))], 1, vocabulary_size=6, num_beams=15, max_length=3, **IDS
    )
    expected = exhaustive_search(next_logits, (A, B), END, 3)
    assert len(expected) == 15
    np.testing.assert_allclose(
        numpy(outputs["log_probabilities"])[0], [row[1] for row in expected], atol=1e-4
    )


def tiny_decoder(vocabulary_size=6, cell="gru"):
    decoder = CaptionDecoder(vocabulary_size, 3, 4, 2, cell)
    decoder.build((1, 1), (1, 5, 7))
    randomize(decoder)
    annotations = np.random.default_rng(8).normal(size=(3, 5, 7)).astype("float32")
    return decoder, annotations


def search_decoder(decoder, annotations, num_beams, **options):
    memory, states = decoder.begin(annotations)
    memory = {name: ops.repeat(value, num_beams, axis=0) for name, value in memory.items()}
    states = [ops.repeat(state, num_beams, axis=0) for state in states]

    def step(token_ids, states):
        logits, _, states = decoder.step(token_ids, states, memory)
        return logits, states

    outputs = beam_search(
        step,
        states,
        len(annotations),
        vocabulary_size=decoder.vocabulary_size,
        num_beams=num_beams,
        **{"max_length": 3, **IDS, **options},
    )
    return {name: ops.convert_to_numpy(value) for name, value in outputs.items()}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("length_penalty", [0.0, 0.7])
def test_beams_for_all_captions_are_exhaustive(cell, length_penalty):
    decoder, annotations = tiny_decoder(cell=cell)
    weights = decoder_weights_of(decoder)
    outputs = search_decoder(decoder, annotations, 15, length_penalty=length_penalty)
    for row, image in enumerate(annotations):
        expected = exhaustive_search(
            lambda words, image=image: decode(weights, (START, *words), image)[0][-1],
            (A, B),
            END,
            3,
            length_penalty,
        )
        scores, log_probabilities, captions = zip(*expected, strict=True)
        np.testing.assert_allclose(outputs["scores"][row], scores, atol=1e-4)
        np.testing.assert_allclose(outputs["log_probabilities"][row], log_probabilities, atol=1e-4)
        padded = [[*words, *[PAD] * (3 - len(words))] for words in captions]
        assert outputs["token_ids"][row].tolist() == padded


@pytest.mark.parametrize("num_beams", [1, 4])
def test_score_is_that_of_teacher_forcing(num_beams):
    decoder, annotations = tiny_decoder(vocabulary_size=13)
    outputs = search_decoder(decoder, annotations, num_beams, max_length=7, length_penalty=0.7)
    for row, image in enumerate(annotations):
        for beam in range(num_beams):
            tokens = outputs["token_ids"][row, beam]
            tokens = tokens[tokens != PAD]
            read = np.array([[START, *tokens[:-1]]])
            logits = numpy(decoder(read, image[None])["logits"])[0]
            log_probability = caption_log_probability(logits, tokens)
            np.testing.assert_allclose(
                outputs["log_probabilities"][row, beam], log_probability, atol=1e-4
            )
            np.testing.assert_allclose(
                outputs["scores"][row, beam], log_probability / len(tokens) ** 0.7, atol=1e-4
            )


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_one_beam_is_greedy(cell):
    decoder, annotations = tiny_decoder(vocabulary_size=13, cell=cell)
    outputs = search_decoder(decoder, annotations, 1, max_length=7)
    for row in range(len(annotations)):
        memory, states = decoder.begin(annotations[row : row + 1])
        last, expected = START, []
        while len(expected) < 7 and last != END:
            logits, _, states = decoder.step(ops.array([last]), states, memory)
            allowed = numpy(logits)[0]
            allowed[[PAD, START, UNKNOWN]] = -np.inf
            last = int(np.argmax(allowed))
            expected.append(last)
        tokens = outputs["token_ids"][row, 0]
        assert tokens.tolist() == expected + [PAD] * (7 - len(expected))


@pytest.mark.parametrize("num_beams", [1, 4])
def test_a_batch_equals_one_at_a_time(num_beams):
    decoder, annotations = tiny_decoder(vocabulary_size=13)
    together = search_decoder(decoder, annotations, num_beams, max_length=7)
    for row in range(len(annotations)):
        alone = search_decoder(decoder, annotations[row : row + 1], num_beams, max_length=7)
        np.testing.assert_array_equal(alone["token_ids"][0], together["token_ids"][row])
        np.testing.assert_allclose(alone["scores"][0], together["scores"][row], atol=1e-5)


def test_more_beams_never_give_a_worse_best_caption_here():
    decoder, annotations = tiny_decoder(vocabulary_size=13)
    best = [
        search_decoder(decoder, annotations, beams, max_length=4)["scores"][:, 0]
        for beams in (1, 13, 60)
    ]
    assert (best[1] >= best[0] - 1e-5).all()
    assert (best[2] >= best[1] - 1e-5).all()


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="XLA by `tf.function` is TensorFlow's"
)
def test_compiled_by_xla_for_any_batch():
    import tensorflow as tf

    decoder, annotations = tiny_decoder(vocabulary_size=13)

    @tf.function(input_signature=[tf.TensorSpec((None, 5, 7))], jit_compile=True)
    def search(annotations):
        memory, states = decoder.begin(annotations)
        memory = {name: ops.repeat(value, 2, axis=0) for name, value in memory.items()}

        def step(token_ids, states):
            logits, _, states = decoder.step(token_ids, states, memory)
            return logits, states

        states = [ops.repeat(state, 2, axis=0) for state in states]
        settings = {"vocabulary_size": 13, "num_beams": 2, "max_length": 7, **IDS}
        return beam_search(step, states, tf.shape(annotations)[0], **settings)

    expected = search_decoder(decoder, annotations, 2, max_length=7)
    for count in (3, 2):
        outputs = search(annotations[:count])
        np.testing.assert_array_equal(outputs["token_ids"], expected["token_ids"][:count])
        np.testing.assert_allclose(outputs["scores"], expected["scores"][:count], atol=1e-4)
