"""What a teacher would say next, kept for every caption of a data set."""

import numpy as np


class SoftTargets:
    """A teacher's most probable next words at each step of each caption.

    Args:
        token_ids: list with an int[steps, K] for each caption.
        probabilities: list with a float[steps, K] for each caption; each step adds up to 1.
    """

    def __init__(self, token_ids, probabilities):
        self._token_ids = token_ids
        self._probabilities = probabilities

    def gather(self, rows, length):
        """The inputs of a training step.

        Args:
            rows: int[B]. Captions, counted through the data set.
            length: int. Steps T.

        Returns:
            Dict of `teacher_ids` int32[B, T, K] and `teacher_probabilities`
            float32[B, T, K], 0 on padding.
        """
        shape = (len(rows), length, self._token_ids[0].shape[-1])
        token_ids, probabilities = np.zeros(shape, "int32"), np.zeros(shape, "float32")
        for place, row in enumerate(rows):
            steps = len(self._token_ids[row])
            token_ids[place, :steps] = self._token_ids[row]
            probabilities[place, :steps] = self._probabilities[row]
        return {"teacher_ids": token_ids, "teacher_probabilities": probabilities}
