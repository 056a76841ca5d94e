"""Weights files that hold arrays of numbers and nothing else."""

import pathlib

import h5py

_MOST_OBJECTS = 100_000
# Numbers, and the 1 or 2 opaque bytes in which float8 and bfloat16 are stored.
_NUMBER_KINDS = "fiub"
_OPAQUE_BYTES = (1, 2)


def check_weights(path: pathlib.Path) -> list[tuple[int, ...]]:
    """Refuses an HDF5 file that refers to other files or unpacks to more than its size.

    Args:
        path: path of a `.weights.h5` file.

    Returns:
        The shapes of all its arrays.

    Raises:
        ValueError: if the file is not HDF5; if it has a link, a virtual or externally
            stored array, an array of anything but numbers, or arrays that are together
            larger than the file.
    """
    if not h5py.is_hdf5(path):
        raise _refusal("must be an HDF5 file", path, "another format, or a damaged file")
    try:
        with h5py.File(path, "r") as file:
            declared, shapes = _check_groups(file, path)
    except (OSError, RuntimeError, KeyError) as error:
        raise _refusal("must be a whole HDF5 file", path, str(error)[:200]) from error
    size = path.stat().st_size
    if declared > size:
        raise _refusal(
            "must store its arrays in full", path, f"{declared} bytes declared in {size}"
        )
    return shapes


def _check_groups(file: h5py.File, path: pathlib.Path) -> tuple[int, list[tuple[int, ...]]]:
    """Walks all groups once; returns the bytes that the arrays declare, and their shapes."""
    declared = seen = 0
    shapes = []
    groups, visited = [file["/"]], set()
    while groups:
        group = groups.pop()
        for name in group:
            seen += 1
            if seen > _MOST_OBJECTS:
                raise _refusal(f"must hold fewer than {_MOST_OBJECTS} objects", path, str(seen))
            # Following a link to another file would open that file.
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise _refusal("must not hold links", path, f"{group.name}/{name}")
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in visited:
                continue
            visited.add(address)
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                declared += _check_array(item, path)
                shapes.append(item.shape or ())
            else:
                raise _refusal("must hold only arrays", path, f"{item.name}")
    return declared, shapes


def _check_array(item: h5py.Dataset, path: pathlib.Path) -> int:
    if item.is_virtual or item.external:
        raise _refusal("must hold its arrays itself", path, f"{item.name} lies in another file")
    kind, size = item.dtype.kind, item.dtype.itemsize
    is_opaque = kind == "V" and item.dtype.fields is None and size in _OPAQUE_BYTES
    if not (kind in _NUMBER_KINDS or is_opaque):
        raise _refusal("must hold only numbers", path, f"{item.name} of {item.dtype}")
    if item.shape is None:
        return 0
    # Python's integers, because NumPy's product overflows.
    total = size
    for length in item.shape:
        total *= length
    return total


def _refusal(rule: str, path: pathlib.Path, received: str) -> ValueError:
    return ValueError(
        f"A weights file {rule}. Download or save the preset again, and do not load it if "
        "you do not trust its source. "
        f"Received: '{path}': {received}"
    )
