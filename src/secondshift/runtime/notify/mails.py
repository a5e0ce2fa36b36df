"""The mail channel: the brief as a mail of text and HTML, handed to a mail server.

mailto:kim@lab.org                                     the server of this machine, port 25
mailto:kim@lab.org?server=smtp.lab.org:587&tls=start&from=night@lab.org&user=...&password=...
"""

import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from email.message import EmailMessage

from secondshift.errors import SecondshiftError
from secondshift.runtime.notify.letters import Letter

TIMEOUT_S = 10.0  # of each answer
ReadMail = Callable[[str], tuple[str, list[str], dict[str, str]]]  # what is wrong, receivers, options


def send(read: ReadMail, address: str, letter: Letter, pauses_s: tuple[float, ...]) -> str:
    """Hand the mail to the server; try again after each pause where that may help. Raises SecondshiftError.

    read: takes the address apart, as the study file's check did.
    """
    wrong, to, options = read(address)
    if wrong:
        raise SecondshiftError(f"The mail channel needs {wrong}.")
    mail = _mail(to, options, letter)
    why = ""
    for pause in (0.0, *pauses_s):
        time.sleep(pause)
        try:
            return _hand_over(mail, options)
        except smtplib.SMTPResponseException as error:
            why = f"it answered {error.smtp_code}"
            if error.smtp_code >= 500:
                break
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            why = f"it refused the receiver ({', '.join(map(str, codes))})"
            if codes and codes[0] >= 500:
                break
        except (OSError, smtplib.SMTPException) as error:
            why = f"{type(error).__name__}: {error}"
    raise SecondshiftError(f"The mail server did not take it: {why}.")


def _mail(to: list[str], options: dict[str, str], letter: Letter) -> EmailMessage:
    mail = EmailMessage()
    sender = options.get("from", f"secondshift@{socket.getfqdn()}")
    mail["Subject"], mail["From"], mail["To"] = letter.subject, sender, ", ".join(to)
    mail["Message-ID"] = f"<{letter.id}@secondshift.invalid>"  # the same for each try: mail programs drop a second copy
    mail["Auto-Submitted"] = "auto-generated"  # so that no holiday responder answers
    mail.set_content(letter.text)
    if letter.html:
        mail.add_alternative(letter.html, subtype="html")
        mail.add_attachment(letter.html.encode(), maintype="text", subtype="html", filename="brief.html")
    return mail


def _hand_over(mail: EmailMessage, options: dict[str, str]) -> str:
    host, _, port = options.get("server", "localhost:25").partition(":")
    tls = options.get("tls", "none")
    if tls == "ssl":
        server = smtplib.SMTP_SSL(host, int(port or 465), timeout=TIMEOUT_S, context=ssl.create_default_context())
    else:
        server = smtplib.SMTP(host, int(port or 25), timeout=TIMEOUT_S)
    with server:
        if tls == "start":
            server.starttls(context=ssl.create_default_context())
        if "user" in options:
            if tls == "none" and host not in ("localhost", "127.0.0.1", "::1"):
                raise SecondshiftError('A password is not sent in the clear: add "tls=start" or "tls=ssl".')
            server.login(options["user"], options.get("password", ""))
        refused = server.send_message(mail)
    return f"taken by the mail server{f', {len(refused)} receivers refused' if refused else ''}"
