"""Types that many modules share."""

import os
from typing import Any, TypeAlias

# Keras has no common type for the tensors of its backends; docstrings give dtype and shape.
Tensor: TypeAlias = Any
Array: TypeAlias = Any
PathLike: TypeAlias = str | os.PathLike[str]
