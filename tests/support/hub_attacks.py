"""Tools of the attackers in the tests of trust."""

import json

import pytest

from keras_showattend.presets import check_preset


def edit(path, change):
    """Rewrites a JSON file; `change` is given its content, and may return another."""
    value = json.loads(path.read_text(encoding="utf-8"))
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed), encoding="utf-8")


def refuse(preset, match):
    with pytest.raises(ValueError, match=match) as caught:
        check_preset(preset)
    assert "Received: " in str(caught.value)
