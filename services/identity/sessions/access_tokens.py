"""Access tokens: what a member may do in one organisation for the next ten minutes (ID-10)."""

from datetime import datetime
from typing import Final, NamedTuple

from joserfc.jwk import ECKey

from chassis import etags, ids
from chassis.tokens import jws, permissions
from chassis.tokens.claims import KIND, LIFETIME, AccessToken
from kith.identity.v1.members_pb2 import Member
from kith.options.v1.permissions_pb2 import Permission
from services.identity.members import roles

CATALOGUE_VERSION: Final = max(Permission.values())
"""Permissions are only ever added, so the largest number says which catalogue a token was made with."""

PASSWORD: Final = ("pwd",)  # RFC 8176
ONE_FACTOR: Final = "aal1"  # NIST SP 800-63B-4


class Issued(NamedTuple):
    """A signed token and when it ends, in seconds since 1970."""

    text: str
    expires: int


def issue(signer: ECKey, *, issuer: str, tenant_id: str, session_id: str, member: Member, auth_time: datetime, now: datetime) -> Issued:
    """Sign what a member may do, as their role stands now."""
    issued = int(now.timestamp())
    token = AccessToken(
        token_id=ids.new(),
        tenant_id=tenant_id,
        user_id=member.id,
        member_id=member.id,
        session_id=session_id,
        permissions=permissions.of(roles.PERMISSIONS[member.role]),
        catalogue_version=CATALOGUE_VERSION,
        permission_version=etags.version(member.etag),
        methods=PASSWORD,
        assurance=ONE_FACTOR,
        auth_time=int(auth_time.timestamp()),
        issued=issued,
        expires=issued + LIFETIME,
    )
    return Issued(jws.sign(token.claims(issuer=issuer), kind=KIND, key=signer), token.expires)
