"""What a server over TLS shows its clients: a certificate made on the spot, or one that was given.

A key that is made here is in a file only while OpenSSL reads it, and nobody else may read that
file. What stays on disk, while the server runs, is the certificate of the authority that clients
are to trust.
"""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

from antiphon.exceptions import MissingDependency

if TYPE_CHECKING:
    import trustme

__all__ = ["CertificateError", "Tls", "TlsChoice", "tls_of"]

TlsChoice: TypeAlias = "bool | tuple[str | PathLike[str], str | PathLike[str]] | ssl.SSLContext"

# Clients on this machine call it by any of these.
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_EVERYWHERE = ("", "0.0.0.0", "::")
# Apple's clients refuse certificates that last longer than 398 days.
_LASTS = timedelta(days=365)
# For clients whose clock is slow.
_BEFORE = timedelta(days=1)

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_PRIVATE_KEY = b"PRIVATE KEY-----"
_MISMATCH = "KEY_VALUES_MISMATCH"


class CertificateError(ValueError):
    """A certificate, or the key to it, is of no use to a server; the message says which and why."""


class Tls:
    """TLS for one server.

    Args:
        context: for the connections that it accepts.
        authority: the certificate, in PEM form, of the authority that signed; None where clients
            have their own means to trust the server.
    """

    def __init__(self, context: ssl.SSLContext, authority: bytes | None = None) -> None:
        self.context = context
        self._authority = authority
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def ca_file(self) -> Path | None:
        """Where the authority's certificate lies, from `publish` to `withdraw`."""
        return None if self._folder is None else Path(self._folder.name) / "ca.pem"

    def publish(self) -> None:
        """Write the authority's certificate, if there is one, to a file for clients."""
        if self._authority is not None and self._folder is None:
            self._folder = TemporaryDirectory(prefix="antiphon-tls-")
            Path(self._folder.name, "ca.pem").write_bytes(self._authority)

    def withdraw(self) -> None:
        """Remove that file."""
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()


def tls_of(choice: TlsChoice, host: str) -> Tls | None:
    """TLS as it was chosen, or None for none.

    Args:
        choice: True for a certificate made on the spot, a pair of PEM files (certificate, key), or
            a context; False for no TLS.
        host: what the server listens on; a certificate made here is good for it, and for
            `localhost`, `127.0.0.1` and `::1`.

    Raises:
        CertificateError: the files, or the context, cannot be used.
        MissingDependency: a certificate is to be made, and trustme is not installed.
        TypeError: it is nothing of these.
    """
    if isinstance(choice, bool):
        return _made(host) if choice else None
    if isinstance(choice, ssl.SSLContext):
        if choice.protocol == ssl.PROTOCOL_TLS_CLIENT:
            raise CertificateError(
                "this ssl.SSLContext is for clients; a server's comes from "
                "ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)"
            )
        return Tls(choice)
    try:
        certificate, key = (Path(fspath(file)) for file in choice)
    except (TypeError, ValueError):
        raise TypeError(
            f"tls is True, a pair of files (certificate, key) or an ssl.SSLContext, not {choice!r}"
        ) from None
    return Tls(_given(certificate, key))


def _made(host: str) -> Tls:
    try:
        import trustme
    except ImportError as error:
        raise MissingDependency(
            "a certificate made on the spot needs trustme: pip install 'antiphon[tls]'"
        ) from error
    now = datetime.now(UTC)
    authority = trustme.CA()

    def issued(*names: str) -> "trustme.LeafCert":
        return authority.issue_cert(*names, not_before=now - _BEFORE, not_after=now + _LASTS)

    own = socket.gethostname() if host in _EVERYWHERE else host.partition("%")[0]
    try:
        certificate = issued(*dict.fromkeys([*_LOCAL_NAMES, own]))
    except UnicodeError as error:  # as of my_host
        if host not in _EVERYWHERE:
            raise CertificateError(
                f"no certificate can name {host!r} ({error}); listen on an address, or give a "
                "certificate"
            ) from error
        certificate = issued(*_LOCAL_NAMES)
    context = _context()
    certificate.configure_cert(context)
    return Tls(context, authority.cert_pem.bytes())


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    # Some clients offer HTTP/2 as well, in which nothing here is spoken.
    context.set_alpn_protocols(["http/1.1"])
    return context


def _given(certificate: Path, key: Path) -> ssl.SSLContext:
    _look_into(certificate, "certificate", _CERTIFICATE)
    _look_into(key, "private key", _PRIVATE_KEY)
    context = _context()
    try:
        context.load_cert_chain(certificate, key, password=_no_password(key))
    except ssl.SSLError as error:
        if error.reason == _MISMATCH:
            raise CertificateError(
                f"the private key in {str(key)!r} does not belong to the certificate in "
                f"{str(certificate)!r}"
            ) from error
        raise CertificateError(
            f"the certificate in {str(certificate)!r} and the private key in {str(key)!r} cannot "
            f"be used: {error.reason or error}"
        ) from error
    return context


def _look_into(file: Path, what: str, mark: bytes) -> None:
    # OpenSSL names neither the file nor what it missed there.
    try:
        text = file.read_bytes()
    except OSError as error:
        why = error.strerror or error
        raise CertificateError(f"the {what} {str(file)!r} cannot be read: {why}") from error
    if mark not in text:
        raise CertificateError(f"{str(file)!r} holds no {what} in PEM form ({mark.decode()})")


def _no_password(key: Path) -> Any:
    # Without this OpenSSL would ask for it on the terminal, and wait.
    def refuse() -> str:
        raise CertificateError(
            f"the private key in {str(key)!r} is encrypted; give one without a passphrase"
        )

    return refuse
