"""The baseline of the benchmarks: captioning in the form of the well-known TensorFlow tutorial.

VGG features are computed beforehand and pass one dense layer. Bahdanau attention projects them
again at every word, followed by a GRU and two dense layers over the whole vocabulary. Training is
a Python loop over words inside a `tf.function`, on batches of single captions that are all padded
to the longest of the dataset; decoding is greedy, eager, word by word. What the form gets wrong
(the GRU forgets its state, the loss counts padding) is kept: it costs no time.
"""

import keras
import numpy as np
import tensorflow as tf


class TutorialCaptioner:
    """A captioner with weights, a training step and greedy decoding.

    Args:
        vocabulary_size: int. V.
        embedding_dim: int. Size M of the embeddings and of the annotations. Defaults to 256.
        units: int. Size N of the state and of the attention. Defaults to 512.
    """

    def __init__(self, vocabulary_size=5001, embedding_dim=256, units=512):
        self.units = units
        self.encoder = keras.layers.Dense(embedding_dim, activation="relu")
        self.keys = keras.layers.Dense(units)
        self.query = keras.layers.Dense(units)
        self.score = keras.layers.Dense(1)
        self.embedding = keras.layers.Embedding(vocabulary_size, embedding_dim)
        self.gru = keras.layers.GRU(units, return_sequences=True, return_state=True)
        self.hidden = keras.layers.Dense(units)
        self.words = keras.layers.Dense(vocabulary_size)
        self.optimizer = keras.optimizers.Adam(1e-3)
        # Layers create their weights when they are first called.
        self._word(tf.zeros((1, 1), tf.int32), self.encoder(tf.zeros((1, 1, 512))), self._start(1))
        self.variables = [
            variable
            for layer in vars(self).values()
            if isinstance(layer, keras.layers.Layer)
            for variable in layer.trainable_variables
        ]
        self.train_step = tf.function(self._train_step)

    def _start(self, batch_size):
        return tf.zeros((batch_size, self.units))

    def _word(self, token_ids, annotations, state):
        """One word: int[B, 1], float[B, L, M], float[B, N] -> logits [B, V], state [B, N]."""
        meeting = tf.nn.tanh(self.keys(annotations) + self.query(state)[:, None])
        weights = tf.nn.softmax(self.score(meeting), axis=1)
        context = tf.reduce_sum(weights * annotations, axis=1)
        inputs = tf.concat([context[:, None], self.embedding(token_ids)], axis=-1)
        output, state = self.gru(inputs)
        logits = self.words(tf.reshape(self.hidden(output), (-1, self.units)))
        return logits, state

    def _train_step(self, features, tokens):
        """Takes one step of Adam on float[B, L, 512] and int[B, T + 1], padded with 0; the loss."""
        with tf.GradientTape() as tape:
            annotations = self.encoder(features)
            state = self._start(tokens.shape[0])
            loss = 0.0
            for time in range(tokens.shape[1] - 1):
                logits, state = self._word(tokens[:, time : time + 1], annotations, state)
                target = tokens[:, time + 1]
                entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
                loss += tf.reduce_mean(entropy * tf.cast(target != 0, tf.float32))
        gradients = tape.gradient(loss, self.variables)
        self.optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
        return loss

    def caption(self, features, start_id, end_id, max_length=32):
        """Decodes one image greedily and eagerly: float[1, L, 512] -> list of int."""
        annotations = self.encoder(features)
        state, token, words = self._start(1), start_id, []
        for _ in range(max_length):
            logits, state = self._word(tf.constant([[token]]), annotations, state)
            token = int(np.argmax(logits))
            if token == end_id:
                break
            words.append(token)
        return words
