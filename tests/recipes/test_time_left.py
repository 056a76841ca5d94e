"""`TimeLeft`: what is printed of a stage's duration, and when."""

import pytest

from keras_showattend.recipes.time_left import TimeLeft, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (89, "89 s"), (91, "2 min"), (3540, "59 min"), (4000, "1 h 7 min")],
)
def test_duration(seconds, words):
    assert duration(seconds) == words


def run(step_seconds, scoring_seconds, epochs=3, steps=40):
    """Drives the callback as `fit` does, with a clock of its own."""
    now = [1000.0]
    callback = TimeLeft(epochs, steps, clock=lambda: now[0])
    for epoch in range(epochs):
        callback.on_epoch_begin(epoch)
        for step in range(steps):
            # The first step compiles.
            now[0] += 30 if epoch == step == 0 else step_seconds
            callback.on_train_batch_end(step)
        now[0] += scoring_seconds
        callback.on_epoch_end(epoch)


def test_after_the_first_minute_and_the_first_epoch(capsys):
    run(step_seconds=10, scoring_seconds=200)
    first, second = filter(None, capsys.readouterr().err.splitlines())
    # 6 steps of 10 s after the first step: 113 of 120 are left, 18.8 min.
    assert first.startswith("About 19 min left in this stage of 3 epochs, and after each epoch")
    # 30 + 39 * 10 + 200 s; two more epochs.
    assert second == (
        "An epoch takes 10 min, with captions of the validation images: about 21 min left in "
        "this stage."
    )


def test_a_short_stage_prints_nothing(capsys):
    run(step_seconds=0.2, scoring_seconds=0.1)
    assert capsys.readouterr().err == ""
