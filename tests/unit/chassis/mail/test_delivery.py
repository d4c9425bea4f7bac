"""A mail of a committed transaction is sent once somebody takes it, one of a transaction that was rolled back never."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client import REGISTRY
from psycopg.errors import InsufficientPrivilege

from chassis import ids
from chassis.context import NO_TENANT, Request, enter
from chassis.database import Database, unit_of_work
from chassis.environment import Secret
from chassis.mail import Post, delivery
from chassis.mail.delivery import TRIES, pause
from chassis.mail.settings import Tls
from chassis.vault import Vault
from tests.unit.chassis.mail.conftest import GREETING, TO, Deliver, Put, Waiting
from tests.unit.chassis.mail.servers import DROP, HANG, MailServer, certificate, serving
from tests.unit.chassis.moving import START, Clock, eventually
from tests.unit.chassis.servers import Served


async def none_waits(waiting: Waiting) -> bool:
    return await waiting() == []


async def tried(waiting: Waiting, times: int) -> bool:
    """Say whether the one mail was put off after so many tries: its next one is not the end of a lease."""
    return [row["tries"] for row in await waiting()] == [times] and (await waiting())[0]["due_time"] - clock_of(times) == pause(times)


def clock_of(times: int) -> Any:
    return START + sum((pause(each) for each in range(1, times)), start=START - START)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("kith_mails_total", {"kind": "greeting", "outcome": outcome}) or 0.0


async def test_a_mail_is_sent_whole_and_forgotten(put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer) -> None:
    await put()
    (row,) = await waiting()
    async with serving(mail_server), deliver():
        await eventually(lambda: none_waits(waiting))
    (message,) = mail_server.taken
    assert message["From"] == "Kith <no-reply@example.com>"
    assert message["To"] == TO
    assert message["Subject"] == "Hello Reader"
    assert message["Date"].datetime == START
    assert message["Message-ID"] == f"<{row['id']}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert message.get_content_type() == "multipart/alternative"
    plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain
    assert html
    assert "https://kith.example.com/greet#t0ken" in plain.get_content().splitlines()
    assert 'href="https://kith.example.com/greet#t0ken"' in html.get_content()


async def test_the_row_tells_nobody_whom_it_is_for(put: Put, waiting: Waiting) -> None:
    await put(name="Somebody Special")
    (row,) = await waiting()
    assert not [secret for secret in (b"reader", b"Special", b"t0ken") if secret in row["sealed"]]


async def test_a_unit_of_work_that_fails_sends_nothing(with_mails: Served, vault: Vault, put: Put, waiting: Waiting) -> None:
    async def fail() -> None:
        async with unit_of_work(NO_TENANT) as work:
            await Post(vault).send(work, GREETING.mail(to=TO, locale="en", name="Reader"))
            raise ValueError("not so")

    async with Database(with_mails.runtime) as database:
        enter(Request(request_id=ids.new(), database=database))
        with pytest.raises(ValueError, match="not so"):
            await fail()
    assert await waiting() == []


async def test_what_waits_while_nobody_sends_is_sent_later(put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer) -> None:
    async with serving(mail_server):
        async with deliver():
            pass
        for _ in range(3):
            await put()
        assert len(await waiting()) == 3
        async with deliver(), deliver():  # of two processes each mail is taken by one
            await eventually(lambda: none_waits(waiting))
    assert len(mail_server.taken) == 3


async def test_a_refusal_for_now_is_tried_again_with_growing_pauses(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, time: Clock
) -> None:
    mail_server.to_data = ["451 later", "452 no room"]
    await put()
    async with serving(mail_server), deliver():
        await eventually(lambda: tried(waiting, 1))
        time.forward(pause(1).total_seconds())
        await eventually(lambda: tried(waiting, 2))
        time.forward(pause(2).total_seconds())
        await eventually(lambda: none_waits(waiting))
    assert mail_server.shown == 3
    assert len(mail_server.taken) == 1


@pytest.mark.parametrize("asked", ["to_data", "to_recipients"])
async def test_a_refusal_for_good_is_the_end(
    put: Put,
    deliver: Deliver,
    waiting: Waiting,
    mail_server: MailServer,
    capfd: pytest.CaptureFixture[str],
    asked: str,
) -> None:
    setattr(mail_server, asked, [f"550 no such user <{TO}>"])
    before = counted("given_up")
    await put()
    async with serving(mail_server), deliver():
        await eventually(lambda: none_waits(waiting))
    assert mail_server.taken == []
    assert counted("given_up") == before + 1
    assert TO not in capfd.readouterr().out


async def test_after_a_refusal_the_next_mail_goes(put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer) -> None:
    mail_server.to_recipients = ["550 no such user"]
    await put("gone@example.com")
    await put()
    async with serving(mail_server), deliver():
        await eventually(lambda: none_waits(waiting))
    assert [message["To"] for message in mail_server.taken] == [TO]
    assert mail_server.sessions == 1


async def test_a_refused_sender_is_our_affair_and_no_mail_is_lost(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, time: Clock
) -> None:
    mail_server.to_senders = ["553 not you"]
    await put()
    async with serving(mail_server), deliver():
        await eventually(lambda: tried(waiting, 1))
        time.forward(pause(1).total_seconds())
        await eventually(lambda: none_waits(waiting))
    assert len(mail_server.taken) == 1


async def test_a_server_that_is_away_is_waited_for(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, time: Clock
) -> None:
    async with serving(mail_server):
        pass
    await put()
    async with deliver():
        await eventually(lambda: tried(waiting, 1))
        async with serving(mail_server):
            time.forward(pause(1).total_seconds())
            await eventually(lambda: none_waits(waiting))
    assert len(mail_server.taken) == 1


async def test_a_server_that_hangs_holds_nothing_up_for_good(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, time: Clock
) -> None:
    mail_server.to_data = [HANG]
    await put()
    async with serving(mail_server), deliver(mail_timeout=1.0):
        await eventually(lambda: tried(waiting, 1))
    mail_server.to_data.clear()  # where a slow machine did not get that far in a second
    async with serving(mail_server), deliver():
        time.forward(pause(1).total_seconds())
        await eventually(lambda: none_waits(waiting))
    assert len(mail_server.taken) == 1


async def test_a_lost_answer_brings_the_same_mail_again_under_the_same_id(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, time: Clock
) -> None:
    mail_server.to_data = [DROP]
    await put()
    async with serving(mail_server), deliver():
        await eventually(lambda: tried(waiting, 1))
        time.forward(pause(1).total_seconds())
        await eventually(lambda: none_waits(waiting))
    first, second = mail_server.taken
    assert first["Message-ID"] == second["Message-ID"]


async def test_whoever_dies_with_a_mail_loses_nothing(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, time: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "DRAIN_SECONDS", 0.01)
    mail_server.to_data = [HANG]
    await put()
    async with serving(mail_server):
        async with deliver():
            await eventually(lambda: mail_server.shown == 1)
        (row,) = await waiting()
        time.forward((row["due_time"] - time()).total_seconds())
        async with deliver():
            await eventually(lambda: none_waits(waiting))
    assert len(mail_server.taken) == 1


async def test_a_mail_that_never_goes_is_given_up_after_its_tries(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, time: Clock
) -> None:
    mail_server.to_data = ["451 later"] * 2 * TRIES
    await put()
    async with serving(mail_server), deliver():
        for times in range(1, TRIES):
            await eventually(lambda times=times: tried(waiting, times))
            time.forward(pause(times).total_seconds())
        await eventually(lambda: none_waits(waiting))
    assert mail_server.shown == TRIES


async def test_a_mail_that_is_worth_nothing_any_more_is_not_sent(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, time: Clock
) -> None:
    await put()
    time.forward(GREETING.lasts.total_seconds())
    async with serving(mail_server), deliver():
        await eventually(lambda: none_waits(waiting))
    assert mail_server.shown == 0


async def test_a_kind_that_this_release_does_not_know_waits(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, admin: psycopg.AsyncConnection[Any]
) -> None:
    await put()
    await admin.execute("UPDATE mails SET kind = 'of_tomorrow'")
    async with serving(mail_server), deliver():
        await eventually(lambda: tried(waiting, 1))
    assert mail_server.shown == 0


async def test_what_was_changed_in_the_database_is_not_sent(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, admin: psycopg.AsyncConnection[Any]
) -> None:
    await put()
    await put()
    await admin.execute("UPDATE mails SET sealed = (SELECT sealed FROM mails ORDER BY id LIMIT 1)")
    async with serving(mail_server), deliver():
        await eventually(lambda: none_waits(waiting))
    assert len(mail_server.taken) == 1


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_connections_are_encrypted_and_the_user_signs_in(
    put: Put,
    deliver: Deliver,
    waiting: Waiting,
    mail_server: MailServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tls: str,
) -> None:
    public, context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(public))
    options: dict[str, dict[str, Any]] = {
        "starttls": {"tls_context": context, "require_starttls": True, "auth_required": True},
        "implicit": {"implicit": context, "auth_require_tls": False},  # it does not see that it speaks TLS
    }
    await put()
    signing_in = {"mail_tls": Tls(tls), "mail_user": "kith", "mail_password": Secret("open sesame")}
    async with serving(mail_server, authenticator=mail_server.sign_in, **options[tls]), deliver(**signing_in):
        await eventually(lambda: none_waits(waiting))
    assert len(mail_server.taken) == 1
    assert mail_server.encrypted == [True]
    assert mail_server.signed_in == ["kith"]


@pytest.mark.parametrize("server", ["plain", "unknown"])
async def test_no_mail_goes_over_a_connection_that_is_not_what_the_settings_say(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, tmp_path: Path, server: str
) -> None:
    _, context = certificate(tmp_path)
    await put()
    async with serving(mail_server, **({} if server == "plain" else {"tls_context": context})), deliver(mail_tls=Tls.STARTTLS):
        await eventually(lambda: tried(waiting, 1))
    assert mail_server.shown == 0


async def test_other_scripts_reach_servers_that_take_them(put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer) -> None:
    await put("müller@bücher.example")
    await put("reader@bücher.example", "de", name="Grüße\r\nBcc: all@example.com")
    async with serving(mail_server), deliver():
        await eventually(lambda: none_waits(waiting))
    assert [envelope.rcpt_tos for envelope in mail_server.envelopes] == [["müller@xn--bcher-kva.example"], ["reader@xn--bcher-kva.example"]]
    assert "SMTPUTF8" in mail_server.envelopes[0].mail_options
    assert mail_server.taken[1]["Subject"] == "Hallo Grüße Bcc: all@example.com"
    assert mail_server.taken[1]["Bcc"] is None


async def test_other_scripts_are_given_up_where_the_server_does_not_take_them(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.unit.chassis.mail.servers.UTF8", False)
    await put("müller@example.com")
    async with serving(mail_server), deliver():
        await eventually(lambda: none_waits(waiting))
    assert mail_server.shown == 0


async def test_no_line_of_the_log_names_anybody(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, capfd: pytest.CaptureFixture[str]
) -> None:
    mail_server.to_data = ["451 not now <reader@example.com>"]
    await put()
    async with serving(mail_server), deliver():
        await eventually(lambda: tried(waiting, 1))
    said = capfd.readouterr().out
    assert "mail_put_off" in said
    assert not [secret for secret in (TO, "Reader", "t0ken") if secret in said]


async def test_the_loss_of_the_database_is_survived(
    put: Put, deliver: Deliver, waiting: Waiting, mail_server: MailServer, admin: psycopg.AsyncConnection[Any]
) -> None:
    end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'kith_billing_system'"

    async def ended() -> bool:
        row = await (await admin.execute(end)).fetchone()
        return bool(row and row[0])

    async with serving(mail_server), deliver():
        await eventually(ended)
        await put()
        await eventually(lambda: none_waits(waiting))
    assert len(mail_server.taken) == 1


async def test_the_runtime_role_cannot_read_mails(with_mails: Served) -> None:
    async with await psycopg.AsyncConnection.connect(with_mails.runtime) as runtime:
        with pytest.raises(InsufficientPrivilege):
            await runtime.execute("SELECT FROM mails")
