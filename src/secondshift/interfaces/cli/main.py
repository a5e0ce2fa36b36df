"""The `secondshift` command. Verbs are registered by name and loaded when they are called, so that starting is cheap."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from difflib import get_close_matches

from cyclopts import App, CycloptsError, Group, UnknownCommandError

from secondshift.errors import SecondshiftError
from secondshift.interfaces.plain import clean

VERBS = "secondshift.interfaces.cli"
MISTAKE = 2  # exit code: something about the call, the study or its ledger is not as it must be
BEHIND = "--behind-dashes"  # hands the command of `watch -- CMD` on; not for people
FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCONT")  # to a watched command
FAULT = 70  # exit code: a fault of ours

NIGHT, LOOK, ACT = Group("Run a night", sort_key=1), Group("Look", sort_key=2), Group("Act", sort_key=3)
REST = Group("More", sort_key=4)

app = App(
    name="secondshift",
    help="A second shift for model training: it runs your trials through the night and leaves a brief in the morning.",
    help_flags=["--help", "-h"],
    version_flags=["--version"],
    group_commands=REST,
    help_format="plaintext",  # plain text loads no Markdown reader: a third of the time to start
)
app.command(
    f"{VERBS}.demonstration:demo", name="demo", sort_key=0, group=NIGHT,
    help="See one small real night on this machine, in under three minutes.",
)  # fmt: skip
app.command(
    f"{VERBS}.initialise:init", name="init", sort_key=0, group=NIGHT,
    help="Look at a training command, and write a commented secondshift.toml for it.",
)  # fmt: skip
app.command(
    f"{VERBS}.examining:doctor", name="doctor", sort_key=0.5, group=NIGHT,
    help="Try the command: what is wrong, what is proved, and what a night can do with it.",
)  # fmt: skip
app.command(
    f"{VERBS}.night:run", name="run", sort_key=1, group=NIGHT,
    help="Work a shift on a study; the same command goes on with one that broke off.",
)  # fmt: skip
app.command(
    f"{VERBS}.status:status", name="status", sort_key=2, group=LOOK,
    help="Show what runs, how far it is, what it costs and what comes next.",
)  # fmt: skip
app.command(
    f"{VERBS}.trials:show", name="show", sort_key=3, group=LOOK,
    help="Show one trial or incident in full.",
)  # fmt: skip
app.command(
    f"{VERBS}.incidents:incidents", name="incidents", sort_key=4.2, group=LOOK,
    help="Show what went wrong, what was done, and what waits for you.",
)  # fmt: skip
app.command(
    f"{VERBS}.trials:why", name="why", sort_key=4, group=LOOK,
    help="Tell why a trial or idea is where it is, and on what evidence.",
)  # fmt: skip
app.command(
    f"{VERBS}.watch:watch", name="watch", sort_key=4.5, group=LOOK,
    help="Watch any training, reading only: files, or -- CMD.",
)  # fmt: skip
app.command(
    f"{VERBS}.pages:brief", name="brief", sort_key=5, group=LOOK,
    help="Read the brief of a shift; --html writes it as one file.",
)  # fmt: skip
app.command(
    f"{VERBS}.pages:replay", name="replay", sort_key=6, group=LOOK,
    help="Decide the recorded night again and compare.",
)  # fmt: skip
app.command(
    f"{VERBS}.queries:sql", name="sql", sort_key=7, group=LOOK,
    help="Ask the ledger a question in SQL, reading only.",
)  # fmt: skip
app.command(
    f"{VERBS}.serving:serve", name="serve", sort_key=7.2, group=LOOK,
    help="Open a window for the browser's new tab: night and inbox.",
)  # fmt: skip
app.command(
    f"{VERBS}.stop:stop", name="stop", sort_key=8, group=ACT,
    help="Stop a trial or the whole shift, and wait until it is so.",
)  # fmt: skip
app.command(
    f"{VERBS}.answer:answer", name="answer", sort_key=7, group=ACT,
    help="Answer what the captain asks about an incident.",
)  # fmt: skip
app.command(
    f"{VERBS}.idea:idea", name="idea", sort_key=6.5, group=ACT,
    help="Hand an idea to the shift; it gets an answer from fresh seeds.",
)  # fmt: skip
app.command(
    f"{VERBS}.ideas:ideas", name="ideas", sort_key=4.1, group=LOOK,
    help="Show every idea and what became of it.",
)  # fmt: skip
app.command(
    f"{VERBS}.accept:accept", name="accept", sort_key=6.7, group=ACT,
    help="Make an idea that held up the baseline.",
)  # fmt: skip
app.command(
    f"{VERBS}.promote:promote", name="promote", sort_key=6.8, group=ACT,
    help="Release an idea's artefact once the gate lets it pass.",
)  # fmt: skip
app.command(
    f"{VERBS}.importing:take_over", name="import", sort_key=7.5, group=ACT,
    help="Take over past runs of MLflow, W&B, TensorBoard or CSV.",
)  # fmt: skip
app.command(
    f"{VERBS}.yielding:give_way", name="yield", sort_key=8.5, group=ACT,
    help="Give this machine back: pause what runs, until --end.",
)  # fmt: skip
app.command(
    f"{VERBS}.cleaning:clean", name="clean", sort_key=8.6, group=ACT,
    help="Delete what nothing needs any more; --dry-run only says what.",
)  # fmt: skip
app.command(
    f"{VERBS}.oncall:oncall", name="oncall", sort_key=5.5, group=LOOK,
    help="Show who is on call, why and until when; hand over, swap.",
)  # fmt: skip
app.command(
    f"{VERBS}.drill:drill", name="drill", sort_key=8.7, group=ACT,
    help="Break a real training on purpose and watch the captain.",
)  # fmt: skip
app.command(
    f"{VERBS}.mcp:mcp", name="mcp", sort_key=5.8, group=LOOK,
    help="Open a door for a coding agent, over standard input and output.",
)  # fmt: skip
app.command(
    f"{VERBS}.services:app", name="service", sort_key=9, group=ACT,
    help="Let a reboot resume the night: install, show, remove.",
)  # fmt: skip
app.command(
    f"{VERBS}.night:engine", name="engine", show=False,
    help="The process that a keeper starts; not for people.",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code: 0 done, 2 a mistake that was explained, others as documented."""
    sys.exit(called(sys.argv[1:] if arguments is None else list(arguments)))


def called(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. What goes wrong is one paragraph on standard error, never a traceback."""
    try:
        return _run(arguments)
    except SecondshiftError as problem:
        if os.environ.get("SECONDSHIFT_DEBUG"):
            raise
        return _told(str(problem))
    except BrokenPipeError:
        # The reader (head, less) has left; that is no mistake. The pipe must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as fault:
        if os.environ.get("SECONDSHIFT_DEBUG"):
            raise
        text = (
            f"This is a fault of secondshift itself: {_first(_cause(fault))}. What was recorded is safe. "
            "Run it again with SECONDSHIFT_DEBUG=1 to see where, and report that."
        )
        return _told(text, FAULT)


def _run(arguments: Sequence[str]) -> int:
    try:
        code = app(_packed(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except UnknownCommandError as mistake:
        return _told(_unknown(str((mistake.unused_tokens or [""])[0])))
    except CycloptsError as mistake:
        return _told(f"{_first(str(mistake))} See `secondshift --help`.")
    return code if isinstance(code, int) else 0


def _packed(arguments: Sequence[str]) -> list[str]:
    """Put what stands behind `--` of `watch` into one word: it is another command's, dashes and all."""
    if arguments[:1] != ["watch"] or "--" not in arguments:
        return list(arguments)
    if hasattr(signal, "pthread_sigmask"):  # before any library starts a thread that would take the command's signals
        signal.pthread_sigmask(signal.SIG_BLOCK, [getattr(signal, name) for name in FORWARDED if hasattr(signal, name)])
    at = list(arguments).index("--")
    return [*arguments[:at], f"{BEHIND}={json.dumps(arguments[at + 1 :])}"]


def _unknown(verb: str) -> str:
    """Say that there is no such verb, without loading those that there are."""
    verbs = [name for name in app if not name.startswith("-") and name != "engine"]
    near = get_close_matches(verb, verbs, n=1)
    meant = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(verbs)}."
    return f"There is no verb {verb!r}. {meant} See `secondshift --help`."


def _cause(fault: BaseException) -> str:
    """The innermost cause: a verb that cannot be loaded says why."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    return f"{type(fault).__name__}: {fault}"


def _first(text: str) -> str:
    return " ".join(text.split())[:600]


def _told(text: str, code: int = MISTAKE) -> int:
    print(clean(text, limit=10_000), file=sys.stderr, flush=True)  # a message may quote what a run printed
    return code
