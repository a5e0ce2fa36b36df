"""Takes from this process, for good, what it may write, some of what it may read, and whom it may signal; becomes a command.

Standard library only, and imported by the supervisor without our package. What is taken stays taken in every child, and
needs no rights (Linux Landlock). Computing and the network stay as they are.
"""

import ctypes
import os
import signal
import sys

CREATE, ADD, RESTRICT = 444, 445, 446  # numbers of the calls, the same on every architecture
NO_NEW_PRIVILEGES = 38  # of prctl; Landlock asks for it
READ = 1 << 2  # files; the names in a folder can be listed all the same
LEAST = 3  # of the kernel's Landlock versions (Linux 6.2): before it, files outside could still be cut to nothing
SIGNALS = 6  # the first that keeps signals inside (Linux 6.12)
OF_FILES = 1 << 1 | 1 << 14  # write, truncate: what a rule on a file may allow
OF_FOLDERS = OF_FILES | sum(1 << bit for bit in range(4, 14))  # and to make, remove, rename and link
WITH_PARENT = "--with-parent"  # first of the arguments: the command dies when its parent does
HIDE = "--hide"  # then: a folder
SHOW = "--show"  # then, as often as there are some: a path in it that can be read all the same
DIES_WITH_PARENT = 1  # of prctl
NOT_CONFINED = 126  # exit code


class Rules(ctypes.Structure):
    """What is taken unless a rule gives it back; signals, where the kernel knows of it."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class Below(ctypes.Structure):
    """A rule: what is allowed below a folder, or to a file."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    try:
        return max(0, ctypes.CDLL(None, use_errno=True).syscall(CREATE, None, 0, 1))
    except (OSError, AttributeError):
        return 0


def available() -> bool:
    """Say whether this kernel can confine a process."""
    return sys.platform == "linux" and version() >= LEAST


def confined(command: list[str], writable: list[str], *, with_parent: bool = False) -> list[str]:
    """The words that run a command, in the same process, where it may write below these paths and to devices only.

    with_parent: it dies when its parent does.
    """
    keeper = [sys.executable, "-I", "-S", __file__, *([WITH_PARENT] if with_parent else [])]
    return [*keeper, *writable, "/dev", "--", *command]


def confine(writable: list[str], hidden: str = "", shown: tuple[str, ...] = ()) -> None:
    """Let this process write below these paths only. Raises OSError where the kernel cannot do it: nothing was taken then.

    hidden: a folder of which it may read no file but below what it may write, and below `shown`. Because rules only give,
    every other file is given as it stands now: what is made beside the folders above `hidden` later cannot be read either.
    """
    known = version()
    if known < LEAST:
        raise OSError(f"this kernel cannot confine a process: Landlock {known}, expected {LEAST} at least (Linux 6.2)")
    libc = ctypes.CDLL(None, use_errno=True)
    read = READ if hidden else 0
    rules = Rules(files=OF_FOLDERS | read, network=0, scoped=1 << 1 if known >= SIGNALS else 0)
    ruleset = _done(libc.syscall(CREATE, ctypes.byref(rules), 24 if known >= SIGNALS else 8, 0))
    given = [(path, read | (OF_FOLDERS if os.path.isdir(path) else OF_FILES)) for path in writable]
    for path, allowed in given + [(path, read) for path in ([*_beside(hidden), *shown] if hidden else ())]:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            if allowed == read:
                continue  # it went meanwhile, or nobody may look at it
            raise
        below = Below(allowed=allowed, folder=fd)
        _done(libc.syscall(ADD, ruleset, 1, ctypes.byref(below), 0))
        os.close(fd)
    _done(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _done(libc.syscall(RESTRICT, ruleset, 0))
    os.close(ruleset)


def _beside(hidden: str) -> list[str]:
    """Everything that is neither in a folder nor above it; links are passed over, because what they lead to is named itself."""
    found, above = [], os.path.realpath(hidden)
    while above != os.path.dirname(above):
        inner, above = above, os.path.dirname(above)
        found += [entry.path for entry in os.scandir(above) if entry.path != inner and not entry.is_symlink()]
    return found


def _done(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {os.strerror(number)}")
    return result


def main(arguments: list[str]) -> int:
    """Become a command that may write below the paths before `--` only; 126 where it cannot be confined or started."""
    if arguments[0] == WITH_PARENT:
        arguments = arguments[1:]
        ctypes.CDLL(None).prctl(DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    hidden, shown = "", ()
    if arguments[0] == HIDE:
        hidden, arguments = arguments[1], arguments[2:]
    while arguments[0] == SHOW:
        shown, arguments = (*shown, arguments[1]), arguments[2:]
    place = arguments.index("--")
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and a command would inherit that
    try:
        confine(arguments[:place], hidden, shown)
        os.execvp(arguments[place + 1], arguments[place + 1 :])
    except OSError as problem:
        print(f"{arguments[place + 1 :][:1]} was not started: {problem}", file=sys.stderr)
    return NOT_CONFINED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
