"""WebSocket frames as bytes, on both ways: made before anything is measured, and cut apart without a library."""

from __future__ import annotations

from load import WrongData

TEXT, BINARY, CLOSE = 0x1, 0x2, 0x8
INCOMPLETE = 1 << 62


def client_frame(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """A whole masked frame, as a client sends it."""
    keys = (mask * (len(payload) // 4 + 1))[: len(payload)]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")
    return _header(opcode, len(payload), 0x80) + mask + masked.to_bytes(len(payload), "big")


def server_frame(opcode: int, payload: bytes) -> bytes:
    """A whole unmasked frame, as a server has to send it."""
    return _header(opcode, len(payload), 0) + payload


def _header(opcode: int, length: int, mask_bit: int) -> bytes:
    first = 0x80 | opcode
    if length < 126:
        return bytes((first, mask_bit | length))
    if length < 65536:
        return bytes((first, mask_bit | 126)) + length.to_bytes(2, "big")
    return bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole frames at the start of data, with their headers, and the rest."""
    frames = []
    start, size = 0, len(data)
    while size - start >= 2:
        length = data[start + 1]
        end = start + 2 + length if length < 126 else _end_of_long_frame(data, start)
        if end > size:
            break
        frames.append(data[start:end])
        start = end
    return frames, data[start:]


def _end_of_long_frame(data: bytes, start: int) -> int:
    """Where a frame with an extended length ends, or INCOMPLETE while its header is."""
    length = data[start + 1]
    if length > 127:
        raise WrongData("a masked frame from the server")
    header_end = start + (4 if length == 126 else 10)
    if header_end > len(data):
        return INCOMPLETE
    return header_end + int.from_bytes(data[start + 2 : header_end], "big")


def frame_payload(frame: bytes) -> bytes:
    """The payload of a whole, unmasked frame."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]


ENGINE_PING = server_frame(TEXT, b"2")
ENGINE_PONG = client_frame(TEXT, b"3", b"\x11\x22\x33\x44")
CONNECT = client_frame(TEXT, b"40", b"\x51\x62\x73\x84")
GOODBYE = client_frame(CLOSE, (1000).to_bytes(2, "big"), b"\x91\xa2\xb3\xc4")
