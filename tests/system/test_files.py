"""What we write is whole or absent, and what cannot be written is one line."""

import os
import stat

import pytest

from sweep.cli.parser import main
from sweep.errors import InputError
from sweep.system.files import replacing, write_bytes, write_text


class Killed(BaseException):
    """Stands in for kill -9."""


def test_an_interrupted_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_text(path, "old")
    with pytest.raises(Killed), replacing(path) as unfinished:  # noqa: PT012
        unfinished.write_text("ne")
        raise Killed
    assert path.read_text() == "old"
    assert [one.name for one in path.parent.iterdir()] == ["file.txt"]


def test_a_file_has_its_name_once_it_is_on_the_disk(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append(stat.S_ISDIR(os.fstat(descriptor).st_mode)))
    rename = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: calls.append("named") or rename(*paths))
    write_bytes(tmp_path / "file", b"content")
    assert calls == [False, "named", True]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to("elsewhere")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere").read_text() == "text"


@pytest.mark.parametrize("name", ["folder", "pipe", "file/below", "x" * 300])
def test_what_cannot_be_written_is_named(tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError) as caught:
        write_text(tmp_path / name, "text")
    assert str(tmp_path / name) in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder", "pipe"]


def test_an_init_that_was_cut_off_is_completed(tmp_path, capsys):
    assert main(["init", str(tmp_path / "whole")]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    copied = tmp_path / "cut" / os.path.relpath(first, tmp_path / "whole")
    write_text(copied, (tmp_path / "whole" / os.path.relpath(first, tmp_path / "whole")).read_text())
    assert main(["init", str(tmp_path / "cut")]) == 0
    (tmp_path / "file").write_text("mine")
    assert main(["init", str(tmp_path / "file" / "below")]) == 2
    assert "file/below" in capsys.readouterr().err.splitlines()[-1]
