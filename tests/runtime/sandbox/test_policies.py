"""The words of bubblewrap that a policy becomes: the deeper rule counts, and what is not there is left out."""

from collections.abc import Sequence
from itertools import pairwise

from secondshift.runtime.sandbox.policies import Policy, bubblewrap
from secondshift.runtime.sandbox.proxy import allowed, target


def pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    return list(pairwise(words))


def test_the_deeper_rule_counts_whatever_the_order_in_which_they_are_given() -> None:
    policy = Policy(
        home="/home/kim", readable=("/home/kim/study",), hidden=("/home/kim/study/.secondshift",),
        writable=("/home/kim/study/.secondshift/worktrees/t1",),
    )  # fmt: skip
    seen = list(policy.sights().items())
    assert [path for path, _ in seen].index("/home/kim") < [path for path, _ in seen].index("/home/kim/study")
    assert seen[-3:] == [
        ("/home/kim/study", "readable"), ("/home/kim/study/.secondshift", "hidden"),
        ("/home/kim/study/.secondshift/worktrees/t1", "writable"),
    ]  # fmt: skip
    words = bubblewrap(policy, [path for path, _ in seen])
    assert words.index("/home/kim") < words.index("/home/kim/study") < words.index("/home/kim/study/.secondshift")
    assert ("--bind", "/home/kim/study/.secondshift/worktrees/t1") in pairs(words)
    assert ("--tmpfs", "/home/kim/study/.secondshift") in pairs(words)


def test_what_is_writable_and_hidden_at_once_can_be_written_and_what_is_not_there_need_not_be() -> None:
    policy = Policy(writable=("/tmp",), readable=("/srv/gone",))
    words = bubblewrap(policy, ["/tmp"])
    assert ("--bind", "/tmp") in pairs(words)
    assert ("--ro-bind-try", "/srv/gone") in pairs(words)
    assert "/root" not in words


def test_all_is_read_only_and_no_network_is_there_unless_it_is_asked_for() -> None:
    words = bubblewrap(Policy(), [])
    assert ("--ro-bind", "/") in pairs(words)
    assert {"--unshare-net", "--unshare-pid", "--die-with-parent", "--disable-userns", "--new-session"} <= set(words)
    assert ("--cap-drop", "ALL") in pairs(words)
    assert "--unshare-net" not in bubblewrap(Policy(network="all"), [])
    assert "--unshare-net" in bubblewrap(Policy(network="all", hosts=("a.b:443",)), []), "named hosts are all hosts"


def test_gpus_are_there_only_where_they_are_asked_for() -> None:
    assert "/dev/nvidia0" not in bubblewrap(Policy(), [])
    assert ("--dev-bind-try", "/dev/nvidia0") in pairs(bubblewrap(Policy(devices=True), []))


def test_a_rule_that_gives_the_home_folder_back_is_seen() -> None:
    assert Policy(home="/home/kim", readable=("/home",)).visible_home()
    assert Policy(home="/home/kim", writable=("/home/kim",)).visible_home()
    assert not Policy(home="/home/kim", readable=("/home/kimchi", "/home/kim/study")).visible_home()


def test_a_host_is_reached_only_by_its_name_and_port() -> None:
    hosts = ("api.example.com", "*.mirror.org:8443", "plain.org:80")
    assert allowed("api.example.com", 443, hosts)
    assert allowed("API.example.com.", 443, hosts)
    assert not allowed("api.example.com", 80, hosts)
    assert not allowed("api.example.com.evil.org", 443, hosts)
    assert not allowed("evil-api.example.com", 443, hosts)
    assert allowed("a.mirror.org", 8443, hosts)
    assert not allowed("mirror.org", 8443, hosts)
    assert not allowed("evilmirror.org", 8443, hosts)
    assert not allowed("plain.org", 443, hosts)
    assert not allowed("anything.at.all", 443, ())


def test_only_a_connect_names_a_target() -> None:
    assert target(["CONNECT api.example.com:443 HTTP/1.1"]) == ("api.example.com", 443)
    assert target(["CONNECT [::1]:443 HTTP/1.1"]) == ("::1", 443)
    for head in ([], ["GET http://api.example.com/ HTTP/1.1"], ["CONNECT api.example.com HTTP/1.1"], ["CONNECT a:x HTTP/1.1"]):
        assert target(head) == ("", 0)
