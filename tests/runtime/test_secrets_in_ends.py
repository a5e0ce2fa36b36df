"""What a script says last goes into the ledger and the brief; a key in it does not."""

from secondshift.records import events as facts
from secondshift.records.orders import Sign
from secondshift.records.trials import Attempt, Exit
from secondshift.runtime.ingest import end_facts


def test_a_known_key_in_the_last_words_is_masked_before_they_become_a_fact() -> None:
    attempt = Attempt(id="t1.a1", trial="t1", number=1, token=1)
    said = "no access with ghp_0123456789abcdefghijklmnopqrstuvwxyz, 한글도"
    ended, _ = end_facts(attempt, Sign(attempt="t1.a1", kind="ended", exit=Exit(code=1, message=said)))
    assert isinstance(ended, facts.AttemptEnded) and ended.exit.code == 1
    assert ended.exit.message == "no access with ***masked***, 한글도"
