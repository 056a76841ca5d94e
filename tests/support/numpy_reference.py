"""The captioner's equations once more, in plain NumPy loops, to test the layers against.

Written from the equations of Xu et al. 2015 (arXiv 1502.03044), of the GRU as Keras
computes it (`reset_after=True`: the reset gate acts after the recurrent product) and of
the standard LSTM; nothing here calls Keras. Weights come as dicts of arrays, which
`attention_weights_of`, `cell_weights_of` and `decoder_weights_of` read from layers.
"""

import itertools

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    exponentials = np.exp(x - np.max(x))
    return exponentials / exponentials.sum()


def log_softmax(x):
    return x - np.max(x) - np.log(np.exp(x - np.max(x)).sum())


def randomize(layer, seed=3, spread=0.7):
    """Gives every weight a random value, biases included, which start at zero."""
    rng = np.random.default_rng(seed)
    values = layer.get_weights()
    layer.set_weights([rng.normal(0, spread, value.shape).astype("float32") for value in values])


def attention_weights_of(layer):
    kernel, bias = layer.annotation_projection.get_weights()
    return {
        "W_a": kernel,
        "b": bias,
        "W_h": layer.state_projection.get_weights()[0],
        "v": layer.score.get_weights()[0][:, 0],
    }


def cell_weights_of(layer):
    return {
        "attention": attention_weights_of(layer.attention),
        "gate": layer.gate.get_weights() if layer.gate is not None else None,
        "kind": layer.cell,
        "recurrent": layer.recurrent.get_weights(),
    }


def decoder_weights_of(layer):
    return {
        "cell": cell_weights_of(layer.cell),
        "embedding": layer.token_embedding.get_weights()[0],
        "norm": layer.annotation_norm.get_weights() if layer.annotation_norm else None,
        "norm_epsilon": layer.annotation_norm.epsilon if layer.annotation_norm else None,
        "initial": [initial.get_weights() for initial in layer.state_initializers],
        "hidden_dim": layer.cell.hidden_dim,
        "num_states": 1 if layer.cell.cell == "gru" else 2,
        "L_h": layer.hidden_output.get_weights(),
        "L_z": layer.context_output.get_weights()[0] if layer.context_output else None,
        "L_o": (
            [layer.token_embedding.get_weights()[0].T, 0.0]
            if layer.tie_embeddings
            else layer.vocabulary_output.get_weights()
        ),
    }


def attend(weights, hidden_state, annotations, mask=None):
    """One image: `hidden_state` [N], `annotations` [L, D], `mask` [L] -> [D], [L]."""
    scores = np.empty(len(annotations))
    for place, annotation in enumerate(annotations):
        inner = annotation @ weights["W_a"] + hidden_state @ weights["W_h"] + weights["b"]
        scores[place] = weights["v"] @ np.tanh(inner)
    if mask is None or not mask.any():
        # Without a single place to look at, attention is even, whatever the scores.
        alpha = softmax(scores if mask is None else np.zeros(len(scores)))
    else:
        alpha = np.zeros(len(scores))
        alpha[mask] = softmax(scores[mask])
    context = sum(share * annotation for share, annotation in zip(alpha, annotations, strict=True))
    return context, alpha


def gru(weights, inputs, hidden_state):
    kernel, recurrent_kernel, bias = weights
    from_inputs = np.split(inputs @ kernel + bias[0], 3)
    from_state = np.split(hidden_state @ recurrent_kernel + bias[1], 3)
    update = sigmoid(from_inputs[0] + from_state[0])
    reset = sigmoid(from_inputs[1] + from_state[1])
    candidate = np.tanh(from_inputs[2] + reset * from_state[2])
    return update * hidden_state + (1 - update) * candidate


def lstm(weights, inputs, hidden_state, cell_state):
    kernel, recurrent_kernel, bias = weights
    parts = np.split(inputs @ kernel + hidden_state @ recurrent_kernel + bias, 4)
    input_gate, forget_gate, output_gate = sigmoid(parts[0]), sigmoid(parts[1]), sigmoid(parts[3])
    cell_state = forget_gate * cell_state + input_gate * np.tanh(parts[2])
    return output_gate * np.tanh(cell_state), cell_state


def cell_step(weights, embedding, states, annotations, mask=None):
    """One image: returns `(hidden_state, context, attention_weights), states`."""
    context, alpha = attend(weights["attention"], states[0], annotations, mask)
    if weights["gate"] is not None:
        kernel, bias = weights["gate"]
        context = sigmoid(states[0] @ kernel + bias) * context
    inputs = np.concatenate([embedding, context])
    if weights["kind"] == "gru":
        states = [gru(weights["recurrent"], inputs, states[0])]
    else:
        states = list(lstm(weights["recurrent"], inputs, *states))
    return (states[0], context, alpha), states


def decode(weights, token_ids, annotations, mask=None):
    """One image: `token_ids` [T], `annotations` [L, D] -> logits [T, V], weights [T, L]."""
    if weights["norm"] is not None:
        gamma, beta = weights["norm"]
        rows = []
        for annotation in annotations:
            spread = np.sqrt(annotation.var() + weights["norm_epsilon"])
            rows.append(gamma * (annotation - annotation.mean()) / spread + beta)
        annotations = np.array(rows)
    if weights["initial"]:
        mean = (annotations if mask is None else annotations[mask]).mean(axis=0)
        states = [np.tanh(mean @ kernel + bias) for kernel, bias in weights["initial"]]
    else:
        states = [np.zeros(weights["hidden_dim"])] * weights["num_states"]
    all_logits, all_alpha = [], []
    for token_id in token_ids:
        embedding = weights["embedding"][token_id]
        (hidden, context, alpha), states = cell_step(
            weights["cell"], embedding, states, annotations, mask
        )
        kernel, bias = weights["L_h"]
        output = hidden @ kernel + bias
        if weights["L_z"] is not None:
            output = embedding + output + context @ weights["L_z"]
        kernel, bias = weights["L_o"]
        all_logits.append(output @ kernel + bias)
        all_alpha.append(alpha)
    return np.array(all_logits), np.array(all_alpha)


def caption_log_probability(logits, token_ids):
    """Sum over a caption's words and its end: `logits` [T, V], `token_ids` [T]."""
    return sum(log_softmax(row)[token] for row, token in zip(logits, token_ids, strict=True))


def exhaustive_search(next_logits, words, end_id, max_length, length_penalty=0.0):
    """Scores every caption there is.

    `next_logits` is a function of the tuple of words so far, giving logits [V]. Returns
    `(score, log_probability, tokens)` tuples, best first.
    """
    captions = []
    for length in range(max_length):
        captions += [(*body, end_id) for body in itertools.product(words, repeat=length)]
    # One cut at `max_length` has no end token.
    captions += itertools.product(words, repeat=max_length)
    found = []
    for tokens in captions:
        logits = [next_logits(tokens[:index]) for index in range(len(tokens))]
        log_probability = caption_log_probability(logits, tokens)
        found.append((log_probability / len(tokens) ** length_penalty, log_probability, tokens))
    return sorted(found, reverse=True)
