"""Wrong settings of mail stop the start with the name of what is wrong."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from chassis.mail.settings import MailSettings

SERVER = {"mail_host": "mail.example.com", "mail_from": "Kith <no-reply@example.com>"}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, "mail_folder"),
        ({"mail_host": "mail.example.com"}, "mail_from"),
        ({**SERVER, "mail_from": "nobody"}, "mail_from"),
        ({**SERVER, "mail_from": "a@example.com\nBcc: b@example.com"}, "mail_from"),
        ({**SERVER, "mail_tls": "none", "mail_password": "secret"}, "mail_password"),
        ({**SERVER, "mail_tls": "ssl3"}, "mail_tls"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, str], wrong: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        MailSettings.model_validate(settings)
    assert wrong in {error["loc"][0] for error in refusal.value.errors()}


def test_a_server_or_a_folder_is_enough() -> None:
    assert MailSettings.model_validate(SERVER).mail_folder is None
    assert not MailSettings.model_validate({"mail_folder": Path("box")}).mail_host
