"""What each tool may be given, with its bounds: from these the schemas are made, and by these what comes in is checked."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Name = Annotated[str, Meta(min_length=1, max_length=40)]
Limit = Annotated[int, Meta(ge=1, le=50, description="Rows on a page.")]
Offset = Annotated[int, Meta(ge=0, le=10_000_000, description="Where to begin; an answer names the next one.")]
Text = Annotated[str, Meta(max_length=10_000)]
Values = Annotated[
    dict[Annotated[str, Meta(min_length=1, max_length=120)], bool | int | float | Annotated[str, Meta(max_length=1000)]],
    Meta(max_length=64, description="Parameters by name, such as {\"lr\": 0.003}; those left out are the baseline's."),
]  # fmt: skip


class Nothing(Struct, forbid_unknown_fields=True):
    """No arguments."""


class Trials(Struct, forbid_unknown_fields=True):
    """Which trials."""

    status: Annotated[
        Literal["", "queued", "running", "paused", "complete", "failed", "stopped"], Meta(description="Only these; empty: all.")
    ] = ""
    order: Annotated[Literal["newest", "best"], Meta(description="best: those that can be compared, by the objective.")] = "newest"
    mine: Annotated[bool, Meta(description="Only trials that you asked for.")] = False
    fresh_seeds: Annotated[
        bool | None, Meta(description="true: only those that verdicts rest on; false: only those of the search.")
    ] = None
    limit: Limit = 20
    offset: Offset = 0


class Trial(Struct, forbid_unknown_fields=True):
    """One trial."""

    trial: Annotated[Name, Meta(description="Such as t7.")]
    lines: Annotated[int, Meta(ge=0, le=30, description="Last lines of its output.")] = 10


class Curve(Struct, forbid_unknown_fields=True):
    """A curve of one trial."""

    trial: Annotated[Name, Meta(description="Such as t7.")]
    metric: Annotated[str, Meta(max_length=200, description="Empty: the objective's.")] = ""
    points: Annotated[int, Meta(ge=4, le=400, description="At most so many.")] = 100


class Ideas(Struct, forbid_unknown_fields=True):
    """Which ideas."""

    state: Annotated[
        Literal["", "waiting", "open", "exploring", "held up", "refuted", "undecided", "refused"],
        Meta(description="Only these; empty: all. waiting: no engine has taken it in yet."),
    ] = ""
    mine: Annotated[bool, Meta(description="Only ideas that you brought.")] = False
    limit: Limit = 20
    offset: Offset = 0


class Idea(Struct, forbid_unknown_fields=True):
    """One idea."""

    idea: Annotated[Name, Meta(description="Such as e3.")]


class Brief(Struct, forbid_unknown_fields=True):
    """A part of a brief."""

    shift: Annotated[str, Meta(max_length=40, description="Such as s2; empty: the newest.")] = ""
    offset: Offset = 0


class Request(Struct, forbid_unknown_fields=True):
    """One request."""

    request: Annotated[Name, Meta(description="The id that asking gave.")]


class NewIdea(Struct, forbid_unknown_fields=True):
    """An idea to be judged on fresh seeds."""

    text: Annotated[Text, Meta(description="The idea, in a sentence or two.")] = ""
    why: Annotated[Text, Meta(description="Why it should help.")] = ""
    params: Values = field(default_factory=dict)
    patch: Annotated[
        str, Meta(max_length=262_144, description="A change of the code: what `git diff` prints in the study's repository.")
    ] = ""
    idea: Annotated[
        str, Meta(max_length=40, description="The id of an idea of words alone, such as e3: this is the change that it waits for.")
    ] = ""


class NewTrial(Struct, forbid_unknown_fields=True):
    """A trial of the search."""

    params: Values
    why: Annotated[str, Meta(max_length=200, description="What it shall show.")] = ""


class StoppedTrial(Struct, forbid_unknown_fields=True):
    """A trial of one's own."""

    trial: Annotated[Name, Meta(description="Such as t7.")]
