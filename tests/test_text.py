"""Passwords and control characters are shown nowhere."""

import pytest

from sweep.text import mask_passwords, one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hush@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:hu/s@h@host/db", "postgresql://me:***@host/db"),
        ("mysql+pymysql://:hu sh@host", "mysql+pymysql://:***@host"),
        (
            "postgresql://me@host/db?password=hush&sslmode=require",
            "postgresql://me@host/db?password=***&sslmode=require",
        ),
        ("postgresql://host/db?user=me&sslpassword=hush", "postgresql://host/db?user=me&sslpassword=***"),
    ],
)
def test_a_password_of_a_url_is_masked(text: str, shown: str) -> None:
    assert mask_passwords(f"--storage={text}") == f"--storage={shown}"


@pytest.mark.parametrize(
    "text",
    ["sqlite:///folder/sweep.db", "http://localhost:8080/a", "space.toml", "--set", "model.options.token=3", "a@b"],
)
def test_what_holds_none_is_left_as_it_is(text: str) -> None:
    assert mask_passwords(text) == text


def test_a_message_is_one_line_of_what_can_be_seen() -> None:
    assert one_line("a\nb\x1b[2J\udcff\u202e ü") == "a\\nb\\x1b[2J\\udcff\\u202e ü"
    assert len(one_line("x" * 10**6)) < 3000
