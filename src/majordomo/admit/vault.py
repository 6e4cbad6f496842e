"""Keeps providers' credentials from whoever has only the database: AES-256-GCM under a secret on this machine."""

import contextlib
import os
from pathlib import Path
from typing import Final

_SECRET_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class VaultError(Exception):
    """The secret cannot be had, or does not open what was sealed. The message says what to do."""


class Vault:
    """Seals and opens. The secret is made at the first sealing; every machine on one database needs the same."""

    def __init__(self, secret_file: Path) -> None:
        self._file = secret_file
        self._secret: bytes | None = None

    def seal(self, text: bytes, of: str) -> bytes:
        """``text`` encrypted; only ``of`` the same thing is it opened again.

        Raises:
            VaultError: the secret cannot be read or made.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._read(make=True)).encrypt(nonce, text, of.encode())

    def open(self, sealed: bytes, of: str) -> bytes:
        """What was sealed.

        Raises:
            VaultError: it was sealed under another secret, or for something else, or changed.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(self._read()).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], of.encode())
        except (InvalidTag, ValueError):
            raise VaultError(
                f"{self._file} does not open a credential; copy it from the machine that stored it"
            ) from None

    def _read(self, *, make: bool = False) -> bytes:
        if self._secret is None:
            if make:
                self._make()
            try:
                secret = self._file.read_bytes()
            except OSError as wrong:
                raise VaultError(f"cannot read {self._file}: {wrong.strerror}") from None
            if len(secret) != _SECRET_BYTES:
                raise VaultError(f"{self._file} is no secret of {_SECRET_BYTES} bytes; put the right one back")
            self._secret = secret
        return self._secret

    def _make(self) -> None:
        """A new secret, unless there is one. It appears whole, and of two who come at once one makes it."""
        partial = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(handle, os.urandom(_SECRET_BYTES))
                os.fsync(handle)
            finally:
                os.close(handle)
            with contextlib.suppress(FileExistsError):
                os.link(partial, self._file)
            partial.unlink()
        except OSError as wrong:
            raise VaultError(f"cannot make {self._file}: {wrong.strerror}") from None
