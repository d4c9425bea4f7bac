"""Wrong settings of mail stop the start with the name of what is wrong."""

from pathlib import Path

import pytest

from chassis.environment import SettingsError, read
from chassis.mail.settings import MailSettings

SERVER = {"KITH_MAIL_HOST": "mail.example.com", "KITH_MAIL_FROM": "Kith <no-reply@example.com>"}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, "KITH_MAIL_FOLDER"),
        ({"KITH_MAIL_HOST": "mail.example.com"}, "KITH_MAIL_FROM"),
        ({**SERVER, "KITH_MAIL_FROM": "nobody"}, "KITH_MAIL_FROM"),
        ({**SERVER, "KITH_MAIL_FROM": "a@example.com\nBcc: b@example.com"}, "KITH_MAIL_FROM"),
        ({**SERVER, "KITH_MAIL_TLS": "none", "KITH_MAIL_PASSWORD": "secret"}, "KITH_MAIL_PASSWORD"),
        ({**SERVER, "KITH_MAIL_TLS": "ssl3"}, "KITH_MAIL_TLS"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, str], wrong: str) -> None:
    with pytest.raises(SettingsError, match=f"^{wrong}: must .*"):
        read(MailSettings, settings)


def test_a_server_or_a_folder_is_enough() -> None:
    assert read(MailSettings, SERVER).mail_folder is None
    assert read(MailSettings, {"KITH_MAIL_FOLDER": "box"}).mail_folder == Path("box")
