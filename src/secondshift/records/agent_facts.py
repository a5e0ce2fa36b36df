"""Facts about calls of a coding agent."""

from dataclasses import dataclass

from secondshift.records.agent_calls import AgentCall


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentOrdered:
    """The agent will be called for an idea, and this much is set aside for it; nothing runs before this is recorded."""

    call: AgentCall
    decision: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentEnded:
    """A call is over and what it cost replaces what was set aside; a call ends once."""

    call: AgentCall  # as it was ordered, with how it ended
