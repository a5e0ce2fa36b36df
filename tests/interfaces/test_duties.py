"""Who is on call, until when, and who is next, as sentences: whatever covers and turns do."""

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from secondshift import plugins
from secondshift.interfaces.readmodel.duties import cover_of, present, rough, sentences, week
from secondshift.records.studies import Cover, Person, Rota

NOW = 1_795_521_600.0  # Tuesday, 24 November 2026, 12:00 UTC
HOUR = 3600.0
ROTA = Rota(people={"mina": Person(name="mina"), "jonas": Person(name="jonas")}, order=("mina", "jonas"), starts=date(2026, 11, 23))
READ = plugins.rota()


def covered(who: str, *, note: str = "look at i3") -> Rota:
    cover = Cover(begins=NOW - HOUR, ends=NOW + HOUR, who=who, why="hand-over", asked_by="kim", note=note)
    return Rota(people=ROTA.people, order=ROTA.order, starts=ROTA.starts, covers=(cover,))


def test_the_note_of_a_hand_over_is_shown_also_to_whose_turn_it_was_anyway() -> None:
    for who in ("jonas", "mina"):
        rota = covered(who)
        duty, other = present(rota, NOW, READ.duties)
        cover = cover_of(rota, duty, NOW)
        assert duty.person == who and other is not None and cover is not None and cover.note == "look at i3"
        assert "oncall.note" in [s.key for s in sentences(rota, NOW, READ.duties, READ.awake_at)]
    assert cover_of(ROTA, present(ROTA, NOW, READ.duties)[0], NOW) is None


def test_duties_of_one_person_in_a_row_are_one() -> None:
    duty, other = present(covered("mina"), NOW, READ.duties)
    assert duty.ends - NOW > HOUR and other is not None and other.person == "jonas" and other.ends - other.begins == 7 * 24 * HOUR


@settings(deadline=None)
@given(st.floats(NOW, NOW + 400 * 24 * HOUR))
def test_next_begins_where_now_ends_and_is_somebody_else(now: float) -> None:
    duty, other = present(ROTA, now, READ.duties)
    assert other is not None and duty.ends == other.begins > now and other.person != duty.person
    rows = week(ROTA, now, READ.duties)
    assert rows and rows[0].values["from_at"] == now


def test_estimates_have_no_digits_that_mean_nothing() -> None:
    assert [rough(hours) for hours in (0.009982, 0.5, 8.0421, 48.0)] == [0.01, 0.5, 8.0, 48.0]
