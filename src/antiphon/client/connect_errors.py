"""What goes wrong while a connection is opened, as a `ConnectError`, whichever library says it.

One rule decides whether to try again: yes, unless it is certain that it cannot help. Networks,
proxies and servers have bad moments, and the number of attempts is bounded anyway.
"""

import re
import ssl
from urllib.parse import urlsplit

import picows
from python_socks import ProxyError

from antiphon.client.endpoint import is_local, without_secrets
from antiphon.client.reconnect import is_passing, is_passing_status
from antiphon.exceptions import ConnectError

__all__ = ["connect_error"]

# The words of picows, which has no field for it.
_PROXY_STATUS = re.compile(r"rejected connection with status (\d{3})$")
# RFC 1928 §6: not allowed by the rules, no such command, no such kind of address.
_SOCKS5_NEVER = frozenset({2, 7, 8})
# SOCKS4: the proxy asked this machine who it is, and did not like the answer.
_SOCKS4_NEVER = frozenset({92, 93})
# What python-socks says without a code when user and password are missing or wrong (RFC 1929).
_SOCKS_AUTHENTICATION = re.compile(r"authentication (failure|methods)", re.IGNORECASE)

_PROXY_HINTS = {
    401: "the proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT",
    403: "the proxy does not let this machine through",
    407: "the proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT",
}
_NOBODY_HINT = "nobody listens there; `antiphon serve` runs a server on this machine"
_TRUST_HINT = (
    "an authority of your own is trusted by SSL_CERT_FILE=FILE in the environment, or by "
    "connector=antiphon.PicowsConnector(ssl_context=ssl.create_default_context(cafile=FILE))"
)


def connect_error(failed: Exception, url: str) -> ConnectError:
    """In words for people, without a secret.

    Args:
        failed: what picows, its proxy library, `ssl`, the resolver or the loop raised.
        url: where the connection was to lead.
    """
    where = without_secrets(url)
    if isinstance(failed, picows.WSInvalidURL):
        # Its words are the address, with the user and the password.
        wrong = "the proxy's address" if failed.url != url else repr(where)
        said = f"{wrong} is none; it should look like http://HOST:PORT or socks5://HOST:PORT"
    elif isinstance(failed, ProxyError):
        status = _proxy_status(failed)
        hint = _PROXY_HINTS.get(status or 0, "the proxy did not make the connection")
        said = f"{hint} ({failed})"
    elif isinstance(failed, ssl.SSLCertVerificationError):
        said = f"{failed}; {_TRUST_HINT}"
    elif isinstance(failed, ConnectionRefusedError) and is_local(urlsplit(url).hostname):
        said = f"{failed}; {_NOBODY_HINT}"
    else:
        said = str(failed) or type(failed).__name__
    return ConnectError(f"no connection to {where}: {said}", retryable=_is_passing(failed))


def _is_passing(failed: Exception) -> bool:
    if isinstance(failed, ProxyError):
        return _proxy_is_passing(failed)
    if isinstance(failed, picows.WSError):
        # A handshake that was cut or garbled; what has a status of its own is not translated here.
        return not isinstance(failed, picows.WSInvalidURL)
    return is_passing(failed)


def _proxy_status(failed: ProxyError) -> int | None:
    told = _PROXY_STATUS.search(str(failed))
    return int(told[1]) if told else None


def _proxy_is_passing(failed: ProxyError) -> bool:
    if (status := _proxy_status(failed)) is not None:
        return is_passing_status(status)
    if _SOCKS_AUTHENTICATION.search(str(failed)):
        return False
    return failed.error_code not in _SOCKS5_NEVER | _SOCKS4_NEVER
