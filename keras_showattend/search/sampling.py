"""Captions drawn word by word with a sampler of KerasHub."""

from keras import ops

from keras_showattend.search.penalties import penalize, penalize_repetition


def sample_captions(
    step,
    states,
    num_rows,
    sampler,
    *,
    vocabulary_size,
    max_length,
    start_id,
    end_id,
    pad_id,
    forbidden_ids=(),
    no_repeat_ngram_size=0,
    model=None,
):
    """Draws one caption a row.

    The sampler chooses each word; its own loop is not used, because it neither tells a
    caption's log-probability nor pads what follows the end.

    Args:
        step: function `(token_ids int32[R], states) -> (logits float[R, V], states)`.
        states: list of float[R, N] before the first word.
        num_rows: int or int32 scalar tensor. Number R of captions.
        sampler: a `keras_hub.samplers.Sampler` that defines `get_next_token`.
        vocabulary_size, max_length, start_id, end_id, pad_id, forbidden_ids,
            no_repeat_ngram_size: see `beam_search`.
        model: the `keras.Model` whose weights `step` uses; JAX wants to know it.

    Returns:
        Tuple of `token_ids` int32[R, T], `log_probabilities` float32[R] under the decoder's
        full softmax, end token included, and `lengths` int32[R] with the end token.
    """
    forbidden = penalize({*forbidden_ids, pad_id, start_id}, vocabulary_size)

    def unfinished(time, tokens, last, log_probs, finished, lengths, states):
        return ops.logical_not(ops.all(finished))

    def advance(time, tokens, last, log_probs, finished, lengths, states):
        logits, states = step(last, states)
        logits = ops.cast(logits, "float32")
        allowed = logits + forbidden
        if no_repeat_ngram_size:
            allowed = allowed + penalize_repetition(
                tokens, time, no_repeat_ngram_size, vocabulary_size
            )
        choice = sampler.get_next_token(sampler.compute_probabilities(allowed))
        choice = ops.cast(choice, "int32")
        words = ops.take_along_axis(
            ops.log_softmax(logits, axis=-1), ops.expand_dims(choice, -1), axis=-1
        )
        log_probs = log_probs + ops.where(finished, 0.0, ops.squeeze(words, -1))
        lengths = lengths + ops.cast(ops.logical_not(finished), "int32")
        last = ops.where(finished, pad_id, choice)
        tokens = ops.slice_update(tokens, (0, time), ops.expand_dims(last, -1))
        finished = ops.logical_or(finished, ops.equal(last, end_id))
        return time + 1, tokens, last, log_probs, finished, lengths, states

    _, tokens, _, log_probs, _, lengths, _ = sampler.run_loop(
        unfinished,
        advance,
        model=model,
        loop_vars=(
            ops.convert_to_tensor(0, "int32"),
            ops.full((num_rows, max_length), pad_id, dtype="int32"),
            ops.full((num_rows,), start_id, dtype="int32"),
            ops.zeros((num_rows,), "float32"),
            ops.zeros((num_rows,), "bool"),
            ops.zeros((num_rows,), "int32"),
            states,
        ),
        maximum_iterations=max_length,
    )
    return tokens, log_probs, lengths
