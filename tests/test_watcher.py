"""Each save is told once, soon, however the editor saves."""

import os
import queue
import statistics
import threading
import time

import pytest

from dmm_av.errors import DeviceError
from dmm_av.io.watcher import Watcher


@pytest.fixture
def saved():
    return queue.Queue()


def nothing_more(saved, seconds=0.3):
    """Longer than the watcher looks by itself."""
    time.sleep(seconds)
    return saved.empty()


def write(path, text):
    path.write_text(text)


def write_beside_and_rename(path, text):
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    os.replace(beside, path)


def move_away_and_write(path, text):
    if path.exists():
        path.rename(path.with_name(f"{path.name}~"))
    path.write_text(text)


def delete_and_write(path, text):
    path.unlink(missing_ok=True)
    path.write_text(text)


def write_in_two_pieces(path, text):
    with path.open("w") as file:
        file.flush()
        file.write(text[:1])
        file.flush()
        file.write(text[1:])


SAVES = [write, write_beside_and_rename, move_away_and_write, delete_and_write, write_in_two_pieces]


@pytest.mark.parametrize("save", SAVES, ids=lambda save: save.__name__)
@pytest.mark.parametrize("whole_folder", [False, True], ids=["file", "folder"])
def test_however_an_editor_saves_the_file_is_delivered_with_its_new_text(tmp_path, saved, save, whole_folder):
    patch = tmp_path / "tides.yaml"
    patch.write_text("first")
    with Watcher([tmp_path if whole_folder else patch], lambda path: saved.put((path, path.read_text()))):
        for text in ("second", "third, longer"):
            save(patch, text)
            path, read = saved.get(timeout=10)
            while read != text:  # a slow writer may be seen at work
                path, read = saved.get(timeout=10)
            assert path == patch
        assert nothing_more(saved)


def test_a_file_that_does_not_exist_yet_is_delivered_when_it_is_written(tmp_path, saved):
    with Watcher([tmp_path / "new.yaml"], saved.put):
        (tmp_path / "new.yaml").write_text("now")
        assert saved.get(timeout=10) == tmp_path / "new.yaml"


def test_a_link_is_watched_where_it_points(tmp_path, saved):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "tides.yaml", tmp_path / "link.yaml"
    target.write_text("first")
    link.symlink_to(target)
    with Watcher([link], saved.put):
        write_beside_and_rename(target, "second")
        assert saved.get(timeout=10) == link


def test_neighbours_deletions_and_empty_files_are_not_delivered(tmp_path, saved):
    patch = tmp_path / "tides.yaml"
    patch.write_text("first")
    with Watcher([patch], saved.put):
        (tmp_path / "other.yaml").write_text("other")
        patch.read_text()
        patch.chmod(0o600)
        patch.write_text("")
        patch.unlink()
        assert nothing_more(saved)
        patch.write_text("first")
        assert saved.get(timeout=10) == patch


def test_a_listener_that_fails_hears_of_the_next_save_too(tmp_path, saved, monkeypatch):
    complaints = []
    monkeypatch.setattr(threading, "excepthook", lambda what: complaints.append(what.exc_value))

    def deliver(path):
        text = path.read_text()
        saved.put(text)
        if text == "bad":
            raise ValueError("bad")

    with Watcher([tmp_path], deliver):
        (tmp_path / "a").write_text("bad")
        assert saved.get(timeout=10) == "bad"
        (tmp_path / "a").write_text("good")
        assert saved.get(timeout=10) == "good"
    assert [str(complaint) for complaint in complaints] == ["bad"]


def test_a_save_is_delivered_within_60_ms_as_a_rule(tmp_path, saved):
    patch, late_s = tmp_path / "tides.yaml", []
    with Watcher([patch], lambda path: saved.put(time.perf_counter())):
        for k in range(21):
            write_beside_and_rename(patch, "x" * (k + 1))
            start = time.perf_counter()
            late_s.append(saved.get(timeout=10) - start)
    assert statistics.median(late_s) < 0.06


def test_stopping_is_quick_and_final(tmp_path, saved):
    watcher = Watcher([tmp_path], saved.put)
    (tmp_path / "a").write_text("a")
    saved.get(timeout=10)
    start = time.perf_counter()
    watcher.stop()
    assert time.perf_counter() - start < 0.2
    (tmp_path / "a").write_text("b, longer")
    assert nothing_more(saved)


def test_a_folder_that_does_not_exist_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(DeviceError, match="folder .*nowhere` does not exist"):
        Watcher([tmp_path / "nowhere" / "tides.yaml"], print)
