"""The review page in a real browser, by keyboard and mouse, and the decisions it saves."""

import json
import pathlib

import pytest
from cli_pictures import save_picture

from keras_showattend.alt_text import review
from keras_showattend.alt_text.review import read_decisions, write_review

pytest_plugins = ["browser_fixtures"]

SURE = {"a.png": 0.8, "b.png": 0.1, "c.png": None, "d</script>.png": 0.4}
CAPTIONS = {
    "a.png": "A dog runs on grass.",
    "b.png": 'A <b>man</b> & "friend" </script> is holding a camera.',
    "c.png": "",
    "d</script>.png": "A red slide.",
}


@pytest.fixture
def page(tmp_path):
    rows = []
    for number, (name, sure) in enumerate(SURE.items()):
        folder = tmp_path / "photos"
        rows.append(
            {
                "path": str(folder / name),
                "caption": CAPTIONS[name],
                "confidence": sure,
                "shaky_words": "man camera" if name == "b.png" else "",
                "unfamiliar": name == "b.png",
                "content": str(number),
            }
        )
        if "/" not in name:
            save_picture(folder / name, number, size=(900, 300))
    path = tmp_path / "review.html"
    assert write_review(rows, path) == 4
    return path


def saved(view, trigger, tmp_path):
    with view.expect_download() as download:
        trigger()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_review_by_keyboard(page, visit, tmp_path):
    visitor = visit()
    view = visitor.page
    view.goto(page.as_uri())
    # The one without a confidence comes first, then the least sure.
    assert view.text_content("#caption") == "No caption"
    view.keyboard.press("Enter")
    assert view.text_content("#state") == "Write a text, or reject."
    view.keyboard.press("e")
    view.keyboard.type("Two  children")
    view.keyboard.press("Enter")
    assert view.text_content("#caption") == CAPTIONS["b.png"]
    assert view.eval_on_selector_all("#caption mark", "marks => marks.map(m => m.textContent)") == [
        "man",
        "camera",
    ]
    assert view.is_visible("#unfamiliar")
    assert view.evaluate("document.images[0].naturalWidth") == 640
    view.keyboard.press("r")
    # Its picture is gone, which is told.
    assert "There is no such file" in view.text_content("#problem")
    view.keyboard.press("ArrowRight")
    view.keyboard.press("a")
    assert view.text_content("#count") == "3 of 4 decided"
    view.keyboard.press("u")
    assert view.text_content("#count") == "2 of 4 decided"
    view.keyboard.press("Enter")
    path = saved(view, lambda: view.keyboard.press("s"), tmp_path)
    assert path.name == "review.json"
    photos = tmp_path / "photos"
    assert {pathlib.Path(key).name: value[1:] for key, value in read_decisions(path).items()} == {
        "a.png": ("0", "accepted", "A dog runs on grass."),
        "b.png": ("1", "rejected", ""),
        "c.png": ("2", "edited", "Two children"),
    }
    assert list(read_decisions(path)) == [
        str(photos / name) for name in ("c.png", "b.png", "a.png")
    ]
    # Another visit goes on where a decision is missing.
    view.reload()
    assert view.text_content("#count") == "3 of 4 decided"
    assert view.text_content("#caption") == "A red slide."
    assert visitor.errors == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in visitor.requests)


@pytest.mark.parametrize("width", [390, 1280])
def test_review_by_mouse_on_narrow_and_wide_screens(page, visit, tmp_path, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    view = visit(width=width).page
    view.goto(page.as_uri())
    for name in ("next", "accept", "reject", "previous"):
        view.click(f"#{name}")
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not view.evaluate(wide)
        for button in view.query_selector_all("button"):
            assert button.bounding_box()["height"] >= 40
    assert axe.run(view).response["violations"] == []
    decisions = read_decisions(saved(view, lambda: view.click("#save"), tmp_path))
    assert [decision.decision for decision in decisions.values()] == ["accepted", "rejected"]


def test_a_large_review_has_its_images_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(review, "MOST_EMBEDDED", 1)
    rows = [
        {"path": str(save_picture(tmp_path / f"{n}.png", n)), "caption": "A dog", "confidence": n}
        for n in range(2)
    ]
    write_review(rows, tmp_path / "review.html")
    assert sorted(p.name for p in (tmp_path / "review_files").iterdir()) == ["0.jpg", "1.jpg"]
    text = (tmp_path / "review.html").read_text()
    assert "review_files/1.jpg" in text
    assert "base64" not in text


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        '{"format": "another", "decisions": []}',
        '{"format": "keras-showattend review 1", "decisions": [{"path": "a.jpg"}]}',
        json.dumps(
            {
                "format": "keras-showattend review 1",
                "decisions": [{"path": "a", "content": "", "decision": "maybe", "caption": ""}],
            }
        ),
        json.dumps(
            {
                "format": "keras-showattend review 1",
                "decisions": [{"path": "a", "content": "", "decision": "edited", "caption": 3}],
            }
        ),
    ],
)
def test_other_files_are_no_decisions(tmp_path, content):
    (tmp_path / "review.json").write_text(content)
    with pytest.raises(ValueError, match="the file that a review page saves"):
        read_decisions(tmp_path / "review.json")
