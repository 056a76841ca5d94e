"""Which images the arguments lead to; no model is involved."""

import datetime
import os

import pytest

from keras_showattend.cli.caption_inputs import Images, Todo, _moment, spread
from keras_showattend.cli.row_index import RowIndex
from keras_showattend.preprocessing.images import list_images

FILES = ["a-b.jpg", "a.jpg", "a/b.jpg", "a/c/d.png", "e.jpg", "notes.txt", "thumbs/a.jpg", "z.svg"]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name in [*FILES, ".hidden/h.jpg"]:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tree"


def test_images_come_sorted_by_their_whole_path(tree):
    images = Images(["tree"])
    found = [f"tree/{n}" for n in ("a-b.jpg", "a.jpg", "a/b.jpg", "a/c/d.png", "e.jpg")]
    assert list(images) == [*found, "tree/thumbs/a.jpg"]
    assert list(images) == sorted(images) == list(map(str, list_images("tree").images))
    assert images.left_out == {".svg": 1}
    assert images.left_out_names == ["tree/z.svg"]
    assert list(Images(["tree"], recursive=False)) == ["tree/a-b.jpg", "tree/a.jpg", "tree/e.jpg"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.png"], [], ["a/c/d.png"]),
        (["a/**"], [], ["a/b.jpg", "a/c/d.png"]),
        ([], ["thumbs/", "a/*/"], ["a-b.jpg", "a.jpg", "a/b.jpg", "e.jpg"]),
        (["a*.jpg"], ["/a.jpg"], ["a-b.jpg", "thumbs/a.jpg"]),
        ([], ["*.jpg", "!e.jpg"], ["a/c/d.png", "e.jpg"]),
    ],
)
def test_globs(tree, include, exclude, expected):
    found = list(Images([str(tree)], include=include, exclude=exclude))
    assert [os.path.relpath(path, tree) for path in found] == expected


@pytest.mark.parametrize("form", [".", "./", "../tree", "../tree/", ".././/tree/../tree"])
def test_globs_are_relative_to_a_folder_however_it_is_given(tree, form, monkeypatch):
    monkeypatch.chdir(tree)
    found = list(Images([form], include=["/a/**", "/*.jpg"], exclude=["/a.jpg", "a/c/"]))
    assert [os.path.normpath(os.path.relpath(path)) for path in found] == [
        "a-b.jpg",
        "a/b.jpg",
        "e.jpg",
    ]


def test_since(tree):
    os.utime(tree / "e.jpg", (1e9, 1e9))
    os.utime(tree / "a" / "b.jpg", (2e9, 2e9))
    since = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    assert list(Images(["tree"], since=since)) == ["tree/a/b.jpg"]
    # It is for files that are named, too.
    assert list(Images(["tree/e.jpg", "tree/a/b.jpg"], since=since)) == ["tree/a/b.jpg"]
    assert _moment("2030-01-01T00:00:00+00:00") == since
    before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=14)
    assert before <= _moment("2w") <= datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["tree/a", "tree"], ["a/b.jpg", "a/c/d.png", "a-b.jpg", "a.jpg", "e.jpg", "thumbs/a.jpg"]),
        (["tree/e.jpg", "tree/a/c", "tree/a"], ["e.jpg", "a/c/d.png", "a/b.jpg"]),
        (["tree/a", "tree/a/b.jpg"], ["a/b.jpg", "a/c/d.png"]),
        # The first does not come upon hidden folders.
        (["tree/a", "tree/.hidden"], ["a/b.jpg", "a/c/d.png", ".hidden/h.jpg"]),
    ],
)
def test_each_image_once(tree, inputs, expected):
    assert list(Images(inputs)) == [f"tree/{name}" for name in expected]


def test_links_to_folders_are_not_followed(tree):
    (tree / "a" / "loop").symlink_to(tree)
    (tree / "self.jpg").symlink_to("self.jpg")
    assert "tree/a/loop" not in "".join(Images(["tree"]))
    # A file that is a loop is found, and is told when it cannot be read.
    assert "tree/self.jpg" in list(Images(["tree"]))
    # A link that is named is looked into, though the walk of the tree does not come upon it.
    assert "tree/a/loop/e.jpg" in list(Images(["tree", "tree/a/loop"]))


def test_a_folder_without_images(tree):
    (tree.parent / "empty").mkdir()
    for images, message in [
        (Images(["tree/a"], include=["*.gif"]), "`--include` and `--exclude` let pass"),
        (Images(["tree/a/c"], exclude=["*.png"]), "which has none"),
        (Images(["tree", str(tree.parent / "empty")]), "must hold images"),
    ]:
        with pytest.raises(ValueError, match=message):
            images.check()
    Images(["tree"], since=datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC)).check()


def test_todo_counts_what_is_done(tree):
    index = RowIndex()
    index.add({"path": "tree/a.jpg", "caption": "A dog", "content": "12"})
    index.add({"path": str(tree / "a" / "b.jpg"), "caption": "A cat", "content": "34"})
    todo = Todo(Images(["tree"]), index)
    assert list(todo) == [f"tree/{n}" for n in ("a-b.jpg", "a/c/d.png", "e.jpg", "thumbs/a.jpg")]
    assert (todo.count, todo.num_done) == (4, 2)
    assert [todo.measure(most) for most in (3, 4, 5)] == [None, 4, 4]
    assert Todo(["tree/a.jpg"], index).measure(9) == 0
    assert index.of_content("34") == {"caption": "A cat", "content": "34"}
    assert index.of_content("56") is None


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (4, [0, 1, 2, 3]), (5, [0, 2, 4]), (8, [0, 2, 4, 6]), (9, [0, 4, 8])],
)
def test_spread(count, expected):
    assert spread(map(int, range(count)), 4) == expected
