"""Offers and answers of calls without real media: what a peer says, and what the service would.

The answer has the form that was observed (P-334): ICE-lite, Opus, PCMU and PCMA, its candidates in
it. Nobody listens at them: with `call_media` virtual or none, ICE never completes (P-337).
"""

import re

from antiphon.emulator.shapes.errors import Refusal

__all__ = ["answer", "check"]

MAX_BYTES = 256 * 1024
# RFC 8866: lines of one letter, an equals sign and a value.
_LINE = re.compile(r"[a-z]=.*")
_NOT_A_FINGERPRINT = ":".join(["00"] * 32)


def check(offer: str) -> None:
    """Whether this is an offer of a call.

    Raises:
        Refusal: it is not.
    """
    lines = offer.splitlines()
    if len(offer) > MAX_BYTES:
        raise _bad("it is too long")
    if not lines or lines[0] != "v=0":
        raise _bad("it does not begin with v=0")
    if any(line and not _LINE.fullmatch(line) for line in lines):
        raise _bad("a line is no <type>=<value>")
    if not any(line.startswith("m=audio ") for line in lines):
        raise _bad("it has no audio section")


def _bad(why: str) -> Refusal:
    # That it is refused is certain; code and words are a guess.
    return Refusal("invalid_offer", f"Failed to parse the SDP offer: {why}.", "sdp")


def answer(offer: str) -> str:
    """What the service would answer, section by section."""
    lines = offer.splitlines()
    mids = [line.removeprefix("a=mid:") for line in lines if line.startswith("a=mid:")]
    sections = [line for line in lines if line.startswith("m=")]
    out = ["v=0", "o=- 0 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if mids:
        out.append(f"a=group:BUNDLE {' '.join(mids)}")
    out += ["a=ice-lite", "a=msid-semantic: WMS *"]
    for number, section in enumerate(sections):
        out += _section(section, mids[number] if number < len(mids) else str(number))
    return "\r\n".join([*out, ""])


def _section(offered: str, mid: str) -> list[str]:
    transport = [
        "c=IN IP4 127.0.0.1",
        f"a=mid:{mid}",
        "a=ice-ufrag:none",
        "a=ice-pwd:nobodylistenshereatall00",
        f"a=fingerprint:sha-256 {_NOT_A_FINGERPRINT}",
        "a=setup:active",
        "a=candidate:1 1 udp 2130706431 127.0.0.1 3478 typ host",
        "a=candidate:2 1 tcp 1671430143 127.0.0.1 443 typ host tcptype passive",
        "a=end-of-candidates",
    ]
    kind = offered.split()[0]
    if kind == "m=audio":
        codecs = [
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:8 PCMA/8000",
        ]
        return [
            "m=audio 3478 UDP/TLS/RTP/SAVPF 96 0 8",
            *transport,
            "a=rtcp-mux",
            "a=sendrecv",
            *codecs,
        ]
    if kind == "m=application":
        channel = "m=application 3478 UDP/DTLS/SCTP webrtc-datachannel"
        return [channel, *transport, "a=sctp-port:5000", "a=max-message-size:262144"]
    return [f"{kind} 0 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}", "a=inactive"]
