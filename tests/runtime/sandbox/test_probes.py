"""Each probe of the sandbox breaks out when its protection is taken away, and does not when it is there."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from secondshift.runtime.sandbox import probes
from secondshift.runtime.sandbox.confining import Claim, Means, means
from secondshift.runtime.sandbox.policies import Limits, Policy

needs_bubblewrap = pytest.mark.skipif(not means().bwrap, reason=f"no sandbox can be made here: {means().why_not}")


@pytest.fixture(scope="module")
def ground() -> Iterator[probes.Ground]:
    with probes.prepared() as made:
        yield made


def unprotected(claim: Claim, ground: probes.Ground) -> tuple[Policy, Means]:
    """The policy without what protects a claim; without any sandbox where it is the sandbox itself that does."""
    policy, by = ground.policy(claim), means()
    match claim:
        case "data":
            return replace(policy, writable=(*policy.writable, str(ground.folder / "data"))), by
        case "write_outside":
            return replace(policy, writable=(*policy.writable, str(ground.folder / "outside"))), by
        case "home":
            return replace(policy, readable=(*policy.readable, str(ground.mark().parent))), by
        case "network":
            return replace(policy, network="all"), by
        case "host":
            return replace(policy, hosts=(*policy.hosts, f"127.0.0.1:{ground.other}")), by
        case "others" | "daemon":
            return policy, Means()
        case _:
            return replace(policy, limits=Limits(processes=0)), by


@needs_bubblewrap
@pytest.mark.parametrize("claim", probes.TRIES)
def test_each_claim_holds_and_its_probe_breaks_out_where_the_protection_is_taken_away(
    claim: Claim, ground: probes.Ground
) -> None:
    held = probes.tried(claim, ground, ground.policy(claim), means())
    assert held.found == "holds", held
    bare = probes.tried(claim, ground, *unprotected(claim, ground))
    assert bare.found == "broken" and "could not be tried" not in bare.detail, bare


def test_what_nothing_enforces_is_said_and_not_tried() -> None:
    found = {one.claim: one.found for one in probes.tried_all(lambda _: None, by=Means())}
    assert {claim for claim, said in found.items() if said == "not enforced"} == {
        "data", "write_outside", "home", "others", "daemon", "network", "host", "processes", "memory"
    }  # fmt: skip
    assert found["file_size"] == found["cpu"] == "holds", "the kernel limits a process without any sandbox"


@needs_bubblewrap
def test_a_probe_that_could_not_begin_does_not_count_as_a_claim_that_holds(ground: probes.Ground) -> None:
    policy = replace(ground.policy("data"), writable=("/nowhere/at/all",))
    found = probes.tried("data", ground, policy, means())
    assert found.found == "broken" and "could not be tried" in found.detail
