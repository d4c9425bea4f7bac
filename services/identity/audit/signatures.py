"""Signatures of seals: ES256 (RFC 7518, section 3.4), which is ECDSA over P-256 with SHA-256, as two numbers of 32 bytes each."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey

_HALF: Final = 32
_ES256: Final = ECDSA(SHA256())


def sign(content: bytes, key: ECKey) -> bytes:
    """Return the signature of a private key."""
    private = key.private_key
    if private is None:
        raise ValueError("this key only verifies")
    return b"".join(number.to_bytes(_HALF, "big") for number in decode_dss_signature(private.sign(content, _ES256)))


def holds(content: bytes, signature: bytes, key: ECKey) -> bool:
    """Say whether the signature was made with the key."""
    if len(signature) != 2 * _HALF:
        return False
    first, second = (int.from_bytes(half, "big") for half in (signature[:_HALF], signature[_HALF:]))
    try:
        key.public_key.verify(encode_dss_signature(first, second), content, _ES256)
    except InvalidSignature:
        return False
    return True
