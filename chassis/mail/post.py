"""The post: takes a mail into the transaction of what it tells of. Whom it is for and what it says lie sealed in the row."""

from chassis import ids
from chassis.database import UnitOfWork
from chassis.mail import queue
from chassis.mail.kinds import Mail
from chassis.vault import Vault


class Post:
    """What a service hands its mails to."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def send(self, work: UnitOfWork, mail: Mail) -> None:
        """Have a mail sent after the unit of work is committed; one that is rolled back sends none."""
        mail_id = ids.new()
        await work.send(
            queue.INSERT,
            id=mail_id,
            kind=mail.kind.name,
            sealed=await self._vault.seal(mail.dump(), queue.purpose(mail_id)),
            tries=0,
            create_time=work.now,
            due_time=work.now,
            expire_time=work.now + mail.kind.lasts,
        )

    async def withhold(self, mail: Mail) -> None:
        """Take the trouble of sending a mail and send none, where the time of an answer must not say whether somebody gets one."""
        await self._vault.seal(mail.dump(), queue.purpose(ids.new()))
