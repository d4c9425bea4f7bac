"""ID-56: what is sealed opens for its purpose only, and a new master key re-wraps without opening."""

import base64
import secrets
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.vault import LocalMasterKey, Vault, VaultError

OLD, NEW = secrets.token_bytes(32), secrets.token_bytes(32)
VAULT = Vault(LocalMasterKey(OLD))


@given(st.binary(max_size=200), st.text(max_size=50))
async def test_a_sealed_secret_opens_for_its_purpose(secret: bytes, purpose: str):
    assert await VAULT.open(await VAULT.seal(secret, purpose), purpose) == secret


async def test_a_sealed_secret_does_not_open_for_another_purpose():
    with pytest.raises(VaultError):
        await VAULT.open(await VAULT.seal(b"secret", "key|a"), "key|b")


@given(st.data())
async def test_a_changed_byte_is_noticed(data: st.DataObject):
    sealed = bytearray(await VAULT.seal(b"secret", "purpose"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VaultError):
        await VAULT.open(bytes(sealed), "purpose")


@given(st.binary(max_size=120))
async def test_bytes_that_were_not_sealed_here_are_refused(garbage: bytes):
    with pytest.raises(VaultError):
        await VAULT.open(garbage, "purpose")


async def test_the_same_secret_is_never_sealed_the_same_way():
    assert await VAULT.seal(b"secret", "purpose") != await VAULT.seal(b"secret", "purpose")


async def test_a_new_master_key_rewraps_and_the_old_one_can_go():
    sealed = await VAULT.seal(b"secret", "purpose")
    both = Vault(LocalMasterKey(NEW, OLD))
    rewrapped = await both.rewrap(sealed)
    assert rewrapped != sealed
    assert await both.rewrap(rewrapped) == rewrapped
    assert await Vault(LocalMasterKey(NEW)).open(rewrapped, "purpose") == b"secret"
    with pytest.raises(VaultError):
        await Vault(LocalMasterKey(NEW)).open(sealed, "purpose")


async def test_the_key_file_holds_the_current_key_first(tmp_path: Path):
    path = tmp_path / "master"
    path.write_text(f"{base64.b64encode(NEW).decode()}\n{base64.b64encode(OLD).decode()}\n")
    assert LocalMasterKey.read(path).kid == LocalMasterKey(NEW).kid
    assert await Vault(LocalMasterKey.read(path)).open(await VAULT.seal(b"secret", "p"), "p") == b"secret"


@pytest.mark.parametrize("content", ["", "not base64!", base64.b64encode(b"short").decode(), "ä"])
def test_a_file_without_a_key_stops_the_start(tmp_path: Path, content: str):
    path = tmp_path / "master"
    path.write_text(content, "utf-8")
    with pytest.raises(VaultError):
        LocalMasterKey.read(path)
