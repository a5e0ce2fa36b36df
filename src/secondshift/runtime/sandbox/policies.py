"""What a process may see, write, reach and take, and the words of bubblewrap that make it so. Pure: nothing is looked up."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

HOMES = ("/home", "/root")  # of people; that of this one is named by `Policy.home`
TEMPORARY = ("/tmp", "/var/tmp")
ALWAYS_HIDDEN = (*HOMES, *TEMPORARY, "/run")  # /run holds the sockets of daemons that would act for it
GRAPHICS = (
    "/dev/dri", "/dev/kfd", "/dev/nvidia-caps", "/dev/nvidiactl", "/dev/nvidia-modeset", "/dev/nvidia-uvm",
    "/dev/nvidia-uvm-tools",
)  # fmt: skip
MANY_GPUS = 16  # of which the files are named
MEMORY_FOLDER_BYTES = 256 << 20  # what a folder in memory, such as the empty home, may hold
PORT = 3128  # of the proxy, on the sandbox's own loopback: each has its own ports

Network = Literal["none", "all"]
Sight = Literal["hidden", "readable", "writable"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much of the machine it may take; 0 is no limit."""

    processes: int = 2048  # at once, threads counted where the kernel counts them
    memory_bytes: int = 0  # of all its processes together
    file_bytes: int = 0  # of one file
    cpu_s: int = 0  # of one process


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What a process may see, write, reach and take. Paths are absolute; of two rules the one for the deeper path counts."""

    writable: tuple[str, ...] = ()  # folders and files that it may write; all else can only be read
    readable: tuple[str, ...] = ()  # what it may read although it lies in a folder that looks empty
    hidden: tuple[str, ...] = ()  # folders that look empty, beside the home folders and /run, and /tmp and /var/tmp
    home: str = ""  # the home folder of whoever runs it: empty, and can be written, in memory, as /tmp can
    network: Network = "none"
    hosts: tuple[str, ...] = ()  # "host:port" that are reached through a proxy all the same; "*." before a name: all below it
    devices: bool = False  # GPUs
    limits: Limits = field(default_factory=Limits)

    def sights(self) -> dict[str, Sight]:
        """What is to be seen of each path that has a rule, parents first."""
        rules: dict[str, Sight] = {}
        for path in (*ALWAYS_HIDDEN, *self.hidden, *filter(None, [self.home])):
            rules[path] = "hidden"
        rules.update((path, "readable") for path in self.readable)
        rules.update((path, "writable") for path in self.writable)
        return dict(sorted(rules.items(), key=lambda rule: (rule[0].rstrip("/").count("/"), rule[0])))

    def visible_home(self) -> bool:
        """Say whether a rule gives the whole home folder back, or one above it."""
        given = (*self.readable, *self.writable)
        return bool(self.home) and any(path == self.home or self.home.startswith(f"{path.rstrip('/')}/") for path in given)


def bubblewrap(policy: Policy, present: Sequence[str], *, program: str = "bwrap", nested: bool = False) -> list[str]:
    """The words of bubblewrap in front of a command.

    present: which of the folders that are to look empty are there: the others are left out. What can be written must be
    there when the command starts, and what can be read may be. nested: it may make sandboxes of its own.
    """
    there = set(present)
    words = [
        program, "--die-with-parent", "--new-session", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
        "--unshare-cgroup-try", "--cap-drop", "ALL", *([] if nested else ["--disable-userns"]),
        *(["--unshare-net"] if policy.network == "none" or policy.hosts else []),
        "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc",
    ]  # fmt: skip
    words += ["--size", str(policy.limits.memory_bytes or MEMORY_FOLDER_BYTES), "--tmpfs", "/dev/shm"]
    if policy.devices:
        for path in (*GRAPHICS, *(f"/dev/nvidia{number}" for number in range(MANY_GPUS))):
            words += ["--dev-bind-try", path, path]
    for path, sight in policy.sights().items():
        if sight == "hidden" and path in there:
            words += ["--size", str(MEMORY_FOLDER_BYTES), "--tmpfs", path]
        elif sight != "hidden":
            words += ["--bind" if sight == "writable" else "--ro-bind-try", path, path]
    for path, sight in policy.sights().items():
        if sight == "hidden" and path in there and path not in (policy.home, *TEMPORARY):
            words += ["--remount-ro", path]  # after what lies in it was put there
    return words


def as_plain(policy: Policy) -> dict[str, Any]:
    """A policy as what JSON can hold."""
    return asdict(policy)
