"""The addresses of notify channels: which of them a study file may name, and how a mail address is read."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

ENV = "env:"
# A long run of letters and digits in an address is mostly a key: such an address comes from the environment.
SECRET = re.compile(r"(?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{20,}")
MAIL_SECRETS = frozenset(["user", "password"])
_MAIL_KEYS = frozenset(["server", "from", "tls", *MAIL_SECRETS])
_TLS = ("none", "start", "ssl")
_ELSEWHERE = 'no secret in it; put the address into an environment variable and write "env:NAME"'


def mistake(text: str) -> str:
    """What a channel in a study file should be instead; empty if it is fine. Nothing is looked up or opened."""
    if text.startswith(ENV):
        known = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text.removeprefix(ENV))
        return "" if known else 'the name of an environment variable after "env:", such as "env:SECONDSHIFT_MAIL_URL"'
    try:
        parts = urlsplit(text)
        secret = bool(parts.username or parts.password or parts.query or parts.fragment or SECRET.search(parts.path))
    except ValueError as error:
        return f"an address that can be read ({error})"
    if parts.scheme == "file":
        return "" if text.removeprefix("file:").strip("/") else 'a path after "file:", such as "file:/home/kim/briefs"'
    if parts.scheme == "mailto":
        wrong, _, options = read_mail(text)
        return wrong or (_ELSEWHERE if MAIL_SECRETS & options.keys() else "")
    if parts.scheme in ("http", "https"):
        return _ELSEWHERE if secret else "" if parts.hostname else "an address with a host"
    return '"file:PATH", "https://...", "mailto:..." or "env:NAME" (any other service comes from the environment)'


def read_mail(address: str) -> tuple[str, list[str], dict[str, str]]:
    """Read mailto:a@b,c@d?server=host:port&tls=start&...; give (what is wrong, receivers, options)."""
    parts = urlsplit(address)
    to = [unquote(one).strip() for one in parts.path.split(",") if one.strip()]
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if not to or not all(one.count("@") == 1 and one.isprintable() and " " not in one for one in to):
        return 'a receiver, as in "mailto:kim@lab.org"', [], {}
    if unknown := sorted(options.keys() - _MAIL_KEYS):
        return f"no {unknown[0]!r} in it; it may give server, from, tls, user and password", [], {}
    if options.get("tls", "none") not in _TLS:
        return f"tls to be one of {', '.join(_TLS)}", [], {}
    _, _, port = options.get("server", "localhost:25").partition(":")
    if port and not port.isdigit():
        return "a server as host or host:port", [], {}
    return "", to, options
