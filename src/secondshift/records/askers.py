"""Who asks: a person, or a program that speaks for itself. A program is never taken for a person."""

AGENT = "mcp:"  # begins the name under which a coding agent asks through `secondshift mcp`; the client's own name follows
# What an agent may ask for: bring ideas, ask for trials, and take back or stop what it brought itself. The rest is a person's.
ASKED_BY_AGENTS = ("idea", "withdraw", "try", "stop")  # verbs of requests
OF_AGENTS = ("capture", "propose", "stop")  # verbs of decisions that bear an agent's name
ONLY_PEOPLE = "{who} is an agent, and only a person may ask for that"


def is_agent(who: str) -> bool:
    """Say whether a request is an agent's."""
    return who.startswith(AGENT)
