"""Random numbers that depend on the epoch, and not on what was drawn before it."""

from collections.abc import Iterable
from typing import Any

import numpy as np

# More than an epoch draws.
_DRAWS = 2**20
_LARGEST = 2**31


def seed_epoch(variables: Iterable[Any], epoch: int, seed: int) -> None:
    """Sets the seed generators among some variables to the start of an epoch.

    A run that resumes then draws what it would have drawn undisturbed.

    Args:
        variables: variables of Keras. Others than the states of `keras.random.SeedGenerator`
            stay as they are.
        epoch: int, counted from 0.
        seed: int. Of the run.
    """
    states = [variable for variable in variables if variable.name == "seed_generator_state"]
    for place, state in enumerate(states):
        numbers = [(seed + place) % _LARGEST, epoch * _DRAWS % _LARGEST]
        state.assign(np.array(numbers, state.dtype))
