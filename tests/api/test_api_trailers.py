"""Trailers: a few are let pass, as HTTP allows them; endless ones fill no memory."""

import socket
from pathlib import Path

from tests.house import settings_env
from tools import embedded

CHUNKED = (
    b"POST /v1/webhooks/meta HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
)


def test_endless_trailers_end_the_connection(
    tmp_path: Path, mongodb_url: str, redis_url: str, key_folder: Path
) -> None:
    """One is answered (with 401: nobody signed it); of 16 MB the server takes a small part, and hangs up."""
    port = str(embedded.free_port())
    env = settings_env(key_folder, mongodb_url=mongodb_url, redis_url=redis_url, SOUNDOPS_PORT=port)
    env.pop("SOUNDOPS_VAULT_PRIVATE_RING_FILE")
    with embedded.api(env, log=tmp_path / "api.log") as api:
        with socket.create_connection((embedded.HERE, api.port), timeout=10) as polite:
            polite.sendall(CHUNKED + b"x: y\r\n\r\n")
            assert polite.recv(64).startswith(b"HTTP/1.1 401 ")
        for endless in (b"x: y\r\n" * 1000, b"z" * 6000):
            with socket.create_connection((embedded.HERE, api.port), timeout=10) as rude:
                rude.sendall(CHUNKED + b"x: ")
                assert not takes(rude, endless, 16 * 1024 * 1024)


def takes(connection: socket.socket, part: bytes, size: int) -> bool:
    """Whether the other side reads so many bytes."""
    try:
        for _ in range(size // len(part)):
            connection.sendall(part)
    except OSError:
        return False
    return True
