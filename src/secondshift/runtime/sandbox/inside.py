"""The first thing that runs in a sandbox: limits itself, hands out the proxy's door, and becomes the command.

Standard library only; run by its path with `python -I -S`. Its arguments: a descriptor of the keeper outside (or -), the
port of the proxy (0: none), the limits as NAME=VALUE, `--`, and the command.
"""

import array
import os
import resource
import signal
import socket
import sys

NOT_CONFINED = 126  # exit code
HANDED = b"R"  # what the keeper hears when all is ready, with the listening socket where there is a proxy


def limit(assigned: list[str]) -> None:
    """Limit this process, and all that comes of it, for good."""
    for one in assigned:
        name, _, value = one.partition("=")
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        most = int(value) if hard == resource.RLIM_INFINITY else min(int(value), hard)
        last = most + 5 if name == "CPU" and hard == resource.RLIM_INFINITY else most  # it is told first: SIGXCPU
        resource.setrlimit(kind, (most, last))


def hand_out(descriptor: int, port: int) -> None:
    """Tell the keeper that the command begins; give it the socket at which the command looks for its proxy.

    The socket belongs to this sandbox's own network, and whoever holds it may take calls from anywhere: so nothing is
    needed in here that would pass on what is said.
    """
    with socket.socket(fileno=descriptor) as keeper:
        extra = []
        if port:
            door = socket.create_server(("127.0.0.1", port), backlog=128)
            extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [door.fileno()]))]
        keeper.sendmsg([HANDED], extra)
        if port:
            door.close()


def main(arguments: list[str]) -> int:
    """Become the command; 126 where that cannot be."""
    place = arguments.index("--")
    descriptor, port, assigned = arguments[0], int(arguments[1]), arguments[2:place]
    command = arguments[place + 1 :]
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and a command would inherit that
    try:
        limit(assigned)
        if descriptor != "-":
            hand_out(int(descriptor), port)
        os.execvp(command[0], command)
    except (OSError, ValueError) as problem:
        print(f"{command[:1]} was not started: {problem}", file=sys.stderr)
    return NOT_CONFINED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
