"""Frames on a connection: a length in four bytes, big endian, and that many bytes."""

import asyncio
import socket
from typing import Final, Protocol

FRAME_BYTES: Final = 16 * 1024 * 1024  # of a frame at the most, as of a message of gRPC at the edge; a longer one ends the connection
LENGTH_BYTES: Final = 4

_ALIVE: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 15_000}
"""Where the system can do that, a machine that is gone is noticed in 25 seconds of silence, or 15 after something was sent to it."""


class Side(Protocol):
    """What stands at one end of a wire."""

    def hear(self, frame: bytes) -> None:
        """Take a frame."""

    def room(self) -> None:
        """Say what had to wait: there is room for it again."""

    def lost(self) -> None:
        """Do without the wire, which is gone."""


class Wire(asyncio.Protocol):
    """One connection. While it is `full`, the other side does not take what was said, and more would only fill memory."""

    def __init__(self, side: Side) -> None:
        self.full = False
        self._side = side
        self._transport: asyncio.Transport | None = None
        self._heard = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, and see to it that its loss is noticed."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's is one without saying so
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _ALIVE.items():
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def data_received(self, data: bytes) -> None:
        """Hear the frames that are complete."""
        heard = self._heard
        heard += data
        place = 0
        while len(heard) - place >= LENGTH_BYTES:
            begin = place + LENGTH_BYTES
            length = int.from_bytes(heard[place:begin], "big")
            if length > FRAME_BYTES:
                self.abort()
                return
            if len(heard) < begin + length:
                break
            place = begin + length
            self._side.hear(bytes(heard[begin:place]))
        del heard[:place]

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that nothing more comes."""
        self._side.lost()

    def pause_writing(self) -> None:
        """Wait for the other side."""
        self.full = True

    def resume_writing(self) -> None:
        """Go on."""
        self.full = False
        self._side.room()

    def send(self, frame: bytes) -> None:
        """Send a frame, if there is still somebody."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(len(frame).to_bytes(LENGTH_BYTES, "big") + frame)

    def hold(self) -> None:
        """Hear nothing more for now."""
        if self._transport is not None:
            self._transport.pause_reading()

    def go_on(self) -> None:
        """Hear what comes again."""
        if self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """End the connection after what was sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
