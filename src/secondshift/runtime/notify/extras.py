"""Every other service, through the optional package apprise (Slack, Telegram, Teams, ntfy and some hundred more)."""

from urllib.parse import urlsplit

from secondshift.errors import SecondshiftError
from secondshift.runtime.notify.letters import Letter


def send(address: str, letter: Letter, pauses_s: tuple[float, ...]) -> str:
    """Send the brief's text. Raises SecondshiftError if apprise is missing, or does not know or reach the service."""
    try:
        import apprise  # pyright: ignore[reportMissingImports]  # optional: the extra `notify`
    except ImportError:
        raise SecondshiftError(
            f"Channels such as {urlsplit(address).scheme or '?'}: need the package apprise. "
            "Install it with: pip install 'secondshift[notify]'"
        ) from None
    service = apprise.Apprise()
    if not service.add(address):
        raise SecondshiftError("apprise does not know this kind of address. See its list of services.")
    form = apprise.NotifyFormat.MARKDOWN if letter.html else apprise.NotifyFormat.TEXT
    if not service.notify(title=letter.subject, body=letter.text, body_format=form):
        raise SecondshiftError("apprise could not reach the service, or the service refused.")
    return "taken by apprise"
