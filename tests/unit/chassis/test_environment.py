"""Settings come out of the environment with their types; whatever is wrong is said at once, and never what was given."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest

from chassis.environment import Secret, SettingsError, UnfitError, load, read, setting


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, kw_only=True)
class Settings:
    port: int = setting(least=1, most=65535, says="Port of it all.")
    name: str = setting("local", pattern="[a-z]+", says="Its name.")
    share: float = setting(0.5, above=0, most=1, says="A share.")
    on: bool = setting(default=False, says="Whether.")
    folder: Path = setting(Path("/"), says="Where.")
    file: Path | None = setting(None, says="Which.")
    key: Secret = setting(Secret(""), says="The key.")
    hosts: tuple[str, ...] = setting((), says="Whom.")
    addresses: dict[str, str] = setting(default_factory=dict, says="Where they are.")
    other: int = setting(1, variable="OTHER_COUNT", says="A name of its own.")
    colour: Colour = setting(Colour.RED, says="Its colour.")
    letters: set[str] = setting(frozenset(), reader=set, says="A type of its own.")

    def __post_init__(self) -> None:
        if self.colour is Colour.BLUE and self.other == 1:
            raise UnfitError("other", "must be more where it is blue")


SAID = {
    "KITH_PORT": "80",
    "KITH_NAME": "here",
    "KITH_SHARE": "1e-1",
    "KITH_ON": "True",
    "KITH_FOLDER": "/tmp",
    "KITH_FILE": "/tmp/file",
    "KITH_KEY": "swordfish",
    "KITH_HOSTS": "a, b,,c ",
    "KITH_ADDRESSES": '{"a": "127.0.0.1:1"}',
    "OTHER_COUNT": " 7",
    "KITH_COLOUR": "blue",
    "KITH_LETTERS": "abba",
    "KITH_NOT_OURS": "1",
}


def test_each_setting_has_its_type() -> None:
    assert read(Settings, SAID) == Settings(
        port=80,
        name="here",
        share=0.1,
        on=True,
        folder=Path("/tmp"),
        file=Path("/tmp/file"),
        key=Secret("swordfish"),
        hosts=("a", "b", "c"),
        addresses={"a": "127.0.0.1:1"},
        other=7,
        colour=Colour.BLUE,
        letters={"a", "b"},
    )


def test_what_is_not_said_has_its_default() -> None:
    assert read(Settings, {"KITH_PORT": "80"}) == Settings(port=80)


def test_an_empty_name_of_a_file_is_none() -> None:
    assert read(Settings, SAID | {"KITH_FILE": ""}).file is None


@pytest.mark.parametrize(
    ("variable", "text", "why"),
    [
        ("KITH_PORT", "0", "must be at least 1"),
        ("KITH_PORT", "65536", "must be at most 65535"),
        ("KITH_PORT", "", "must be a whole number"),
        ("KITH_PORT", "1.5", "must be a whole number"),
        ("KITH_NAME", "Here", "must be like [a-z]+"),
        ("KITH_NAME", "here\n", "must be like [a-z]+"),
        ("KITH_SHARE", "0", "must be above 0"),
        ("KITH_SHARE", "nan", "must be a number"),
        ("KITH_SHARE", "half", "must be a number"),
        ("KITH_ON", "maybe", "must be one of true, false, 1, 0, yes, no, on, off"),
        ("KITH_ADDRESSES", "a=1", "must be a JSON object"),
        ("KITH_ADDRESSES", "[]", "must be a JSON object"),
        ("KITH_ADDRESSES", '{"a": 1}', "must be a JSON object of texts"),
        ("OTHER_COUNT", "x", "must be a whole number"),
        ("OTHER_COUNT", "1", "must be more where it is blue"),
        ("KITH_COLOUR", "green", "must be one of red, blue"),
    ],
)
def test_a_wrong_setting_is_named_with_the_fix(variable: str, text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}: {re.escape(why)}\\. [A-Z][^\n]+$"):
        read(Settings, SAID | {variable: text})


def test_all_that_is_wrong_is_said_at_once_and_nothing_that_was_given(monkeypatch, capsys) -> None:
    for name, text in {"KITH_SHARE": "swordfish", "KITH_ON": "swordfish", "KITH_ADDRESSES": "swordfish"}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("KITH_PORT", raising=False)
    with pytest.raises(SystemExit, match="2"):
        load(Settings)
    said = capsys.readouterr().err
    assert [line.split(":")[0] for line in said.splitlines()] == ["KITH_PORT", "KITH_SHARE", "KITH_ON", "KITH_ADDRESSES"]
    assert "KITH_PORT: is missing. Port of it all." in said
    assert "swordfish" not in said


def test_a_secret_is_shown_to_whom_it_is_for_alone() -> None:
    settings = read(Settings, SAID)
    assert "swordfish" not in f"{settings} {settings!r} {settings.key} {settings.key!r}"
    assert settings.key.reveal() == "swordfish"
