"""The program that asks a model for one change: run like any agent's command, in the same workspace, sandbox and budget.

It shows the model its task, the brief and the files, asks for edits as JSON, and makes them, all or none. It runs nothing of
what the model writes. What it costs stands in the file that SECONDSHIFT_USAGE names before and after every request.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from secondshift.records.agent_calls import CallEnding
from secondshift.records.protection import protects
from secondshift.runtime.agents import answers
from secondshift.runtime.agents.answers import NOTE, Answer, AnswerProtected, AnswerUnusable
from secondshift.runtime.agents.counting import Meter, Prices
from secondshift.runtime.agents.endpoints import Endpoint, ExtraMissing, Reply, Trouble, opened
from secondshift.runtime.agents.orders import Order
from secondshift.runtime.agents.showing import shown
from secondshift.runtime.snapshots import mask

MOST_ANSWERS = 3  # of one call: the first, and two that are told what was wrong
MOST_TROUBLES = 12  # requests of one call that brought nothing
BACK_OFF_S, LONGEST_S = 1.0, 60.0  # the first pause, where the endpoint names none; the longest
LEAVE = 0.1  # of the time of a call, kept to end by ourselves; within these seconds:
LEAVE_S = (2.0, 15.0)
SILENCE = 1 / 3  # of the time of a call: so long may a stream say nothing
PRINTED = 8_000  # letters of an answer that are kept in the output
SHARED = 64  # tokens that a protocol adds to a message at most


class Done(Exception):
    """The call has come to an end that its files do not tell."""

    def __init__(self, ending: CallEnding, detail: str) -> None:
        super().__init__(detail)
        self.ending, self.detail = ending, detail


@dataclass(kw_only=True, slots=True)
class Call:
    """One call: who is asked, what it may cost, and until when."""

    order: Order
    endpoint: Endpoint
    meter: Meter
    until: float  # monotonic seconds
    tell: Callable[[str], None]
    system: str
    talk: list[tuple[str, str]] = field(default_factory=list)
    troubles: int = 0  # requests that brought no answer
    replies: int = 0  # and those that did

    def answered(self) -> tuple[Answer, dict[str, str]]:
        """Ask until an answer can be used; with it what its edits make of files. Raises Done."""
        place = Path(self.order.top)
        wrong: AnswerUnusable | None = None
        for _ in range(MOST_ANSWERS):
            reply = self._replied()
            self.tell(f"{self.order.model} answers:\n{reply.text[:PRINTED]}")
            try:
                answer = read(reply, self.order)
                files = answers.worked_out(answer, place, lambda path: protected(self.order, path))
            except AnswerUnusable as problem:
                wrong = problem
                self.tell(f"not usable: {problem}")
                said = reply.text.strip() or "(nothing)"
                self.talk += [("assistant", said), ("user", f"Your answer cannot be used. {problem} Answer again, with all of it.")]
                continue
            return answer, files
        kind: CallEnding = "refused" if isinstance(wrong, AnswerProtected) else "crashed"
        raise Done(kind, f"{MOST_ANSWERS} answers could not be used; the last: {wrong}")

    def _replied(self) -> Reply:
        """Ask, and again after a pause where that may help. Raises Done."""
        sent = len(self.system.encode()) + sum(len(what.encode()) + SHARED for _, what in self.talk) + SCHEMA_BYTES
        most = (sent, self.order.output_tokens)  # a token is a byte at least
        while True:
            if not self.meter.affords(*most):
                raise Done("over budget" if self.meter.counts.requests else "unreachable", self._too_dear(*most))
            self.meter.begin()
            try:
                reply = self.endpoint.ask(self.system, self.talk, self._silence())
            except Trouble as trouble:
                if trouble.charged:
                    self.meter.end(trouble.input_tokens, trouble.output_tokens, *most)
                else:
                    self.meter.free()
                self._paused(trouble)
                continue
            except (OutOfTime, Asked):
                self.meter.end(None, None, *most)
                raise
            self.meter.end(reply.input_tokens, reply.output_tokens, *most)
            self.replies += 1
            if reply.stop == "refused":
                raise Done("no change", f"the model declined: {reply.text[:NOTE]}")
            return reply

    def _silence(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0.0:
            raise OutOfTime
        return min(left, max(2.0, self.order.timeout_s * SILENCE))

    def _paused(self, trouble: Trouble) -> None:
        """Wait as long as the endpoint asks, or ever longer. Raises Done where waiting does not help."""
        self.troubles += 1
        who = f"{self.order.provider}:{self.order.model}"
        if not trouble.again:
            raise Done("unreachable", f"{who} cannot be asked: {trouble.why}")
        grown = min(LONGEST_S, BACK_OFF_S * 2 ** (self.troubles - 1))
        wait_s = max(0.2, grown * random.uniform(0.5, 1.0) if trouble.wait_s is None else trouble.wait_s)
        if self.troubles >= MOST_TROUBLES or time.monotonic() + wait_s > self.until:
            raise Done("unreachable", f"{who} gave no answer in {self.troubles} requests; the last: {trouble.why}")
        self.tell(f"waits {wait_s:.1f} s: {trouble.why}")
        time.sleep(wait_s)

    def _too_dear(self, most_input: int, most_output: int) -> str:
        usd = self.meter.prices.of(most_input, most_output)
        return (
            f"the next request may cost {usd:.4f} USD, and {self.meter.counts.usd:.4f} of {self.meter.most_usd:.4f} are spent; "
            "raise [agent] price_per_call_usd, or lower show_kb or max_output_tokens"
        )


SCHEMA_BYTES = len(answers.as_text()) + 512  # sent beside the words, with what a provider writes around it


class OutOfTime(BaseException):  # no SDK may take it for a fault of the network
    """The time of the call is over."""


class Asked(BaseException):
    """Somebody asks this program to end."""


def read(reply: Reply, order: Order) -> Answer:
    """Read a reply's answer. Raises AnswerUnusable."""
    if reply.stop == "cut":
        advice = "Make a smaller change, by search texts instead of whole files."
        raise AnswerUnusable(f"It was cut off at {order.output_tokens} tokens. {advice}")
    return answers.read(reply.text)


def protected(order: Order, path: str) -> str:
    """The pattern under which a path below the workspace's top is protected, or an empty text."""
    study = os.path.normpath(os.path.join(os.getcwd(), os.path.relpath(".", order.folder)))
    below = os.path.relpath(os.path.join(os.path.realpath(order.top), path), study)
    return "" if below.startswith("..") else protects(order.protected, below)


def teller(secret: str) -> Callable[[str], None]:
    """Say how it goes, in the output that is kept; never the key."""

    def tell(text: str) -> None:
        print(veiled(text, secret), flush=True)

    return tell


def veiled(text: str, secret: str) -> str:
    """A text without the key, and without what looks like one."""
    plain = text.replace(secret, "***") if secret else text
    return mask(plain.encode("utf-8", "replace"))[0].decode("utf-8", "replace")


def asked(order: Order, meter: Meter, key: str, tell: Callable[[str], None]) -> None:
    """Do what is ordered; out of time without an answer, after trouble, is the endpoint's. Raises Done, OutOfTime, Asked."""
    until = float(os.environ["SECONDSHIFT_UNTIL"]) - min(LEAVE_S[1], max(LEAVE_S[0], order.timeout_s * LEAVE))
    signal.setitimer(signal.ITIMER_REAL, max(0.1, until - time.monotonic()), 1.0)  # again, where a library swallows the first
    if order.key_needed and not key:
        raise Done("unreachable", f"no key: the variable {order.key_env} is not set where secondshift was started")
    try:
        endpoint = opened(order, key)
    except ExtraMissing as problem:
        raise Done("unreachable", str(problem)) from None
    first = shown(Path(order.brief).read_text("utf-8"), Path(order.top), lambda path: protected(order, path), order.show_bytes)
    size = len(first.prompt.encode())
    tell(f"{order.provider}:{order.model} is shown {first.files} files ({size} bytes); {first.left_out} are left out")
    with closing(endpoint):
        talk = [("user", first.prompt)]
        call = Call(order=order, endpoint=endpoint, meter=meter, until=until, tell=tell, system=first.system, talk=talk)
        try:
            answer, files = call.answered()
        except OutOfTime:
            if call.troubles and not call.replies:
                raise Done("unreachable", f"{order.provider}:{order.model} gave no answer in {order.timeout_s:g} s") from None
            raise
    note = answer.note.strip()[:NOTE]
    if answer.decision == "question":
        raise Done("asked", note or "it asks, without words")
    if answer.decision == "no change":
        raise Done("no change", f"the model sees nothing to try: {note}")
    signal.setitimer(signal.ITIMER_REAL, 0.0)  # what is whole is put down whole
    answers.put(files, Path(order.top))


def main(order: Order) -> int:
    """Do one call; an exit code of 0 says that its files, or its notes, tell what it came to."""
    key = os.environ.get(order.key_env, "").strip()
    meter = Meter(file=Path(os.environ["SECONDSHIFT_USAGE"]), prices=Prices(input_usd=order.input_usd, output_usd=order.output_usd),
                  most_usd=order.most_usd)  # fmt: skip
    meter.write()
    tell = teller(key)
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.signal(signal.SIGTERM, _asked_to_end)
    try:
        asked(order, meter, key, tell)
        ending, detail = "", ""
    except Done as done:
        ending, detail = done.ending, done.detail
    except OutOfTime:
        ending, detail = "timed out", f"it took longer than {order.timeout_s:g} s"
    except Asked:
        ending, detail = "cancelled", "it was asked to end"
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    counts = meter.counts
    tell(f"{ending or 'edits are made'}: {counts.requests} requests, {counts.input_tokens} + {counts.output_tokens} tokens"
         f"{' (estimated)' if counts.estimated else ''}, {counts.usd:.4f} USD. {detail}")  # fmt: skip
    meter.close(ending, veiled(detail, key))
    return 0


def _out_of_time(*_: object) -> NoReturn:
    raise OutOfTime


def _asked_to_end(*_: object) -> NoReturn:
    raise Asked


if __name__ == "__main__":
    sys.exit(main(Order(**json.loads(sys.argv[1]))))
