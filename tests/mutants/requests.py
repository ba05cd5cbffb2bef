"""Mutations of what nodes ask each other: node/rpc, node/routing and the transport's streams."""

from mutants.runner import Mutant

_FORWARD = "src/orion/node/routing/forward.py"
_REGISTRY = "src/orion/node/rpc/registry.py"
_DUPLEX = "src/orion/adapters/peers/duplex.py"
_INBOX = "src/orion/adapters/peers/inbox.py"
_WAY = "unit/node/test_forward.py::"
_PEERS = "contract/test_peers.py::TestTcpPeers::"

REQUESTS = (
    Mutant(
        "a stream that has begun is not begun again elsewhere",
        _FORWARD,
        "                        begun = True\n",
        "",
        (f"{_WAY}test_a_stream_that_has_begun_is_not_begun_again_elsewhere",),
    ),
    Mutant(
        "any voter goes on with a node's work",
        _FORWARD,
        "if not request.resumable and (begun",
        "if (begun",
        (f"{_WAY}test_any_voter_goes_on_with_a_resumable_stream_and_what_says_most_is_raised_at_last",),
    ),
    Mutant(
        "what says more than unavailable is kept",
        _FORWARD,
        "return before if type(error) is Unavailable and type(before) is not Unavailable else error",
        "return error",
        (f"{_WAY}test_what_says_more_than_unavailable_is_what_is_raised",),
    ),
    Mutant(
        "a member passes a command on once",
        _FORWARD,
        "passed_on = replace(request, forwarded=self._driver.is_member)",
        "passed_on = request",
        (f"{_WAY}test_a_member_passes_a_command_to_the_leader_it_hears_once",),
    ),
    Mutant(
        "a member without a leader asks no voter at random",
        _FORWARD,
        "if voters and not driver.is_member:",
        "if voters:",
        (f"{_WAY}test_a_member_without_a_leader_goes_by_gossip_once_and_to_no_other_voter",),
    ),
    Mutant(
        "a silent voter is left",
        "src/orion/node/rpc/ask.py",
        "async with asyncio.timeout(silence_s):",
        "async with asyncio.timeout(None):",
        ("unit/node/test_events.py::test_a_stopped_voter_is_not_waited_for",),
    ),
    Mutant(
        "what asks for too much is refused",
        _REGISTRY,
        "if fault := request_fault(request):",
        "if fault := '':",
        ("unit/node/test_request_bounds.py::test_a_request_without_end_is_refused",),
    ),
    Mutant(
        "who does not follow the log does not answer from it",
        _REGISTRY,
        "if request.at is Place.LOG and not self._follows_log():",
        "if False:",
        (f"{_WAY}test_who_does_not_follow_the_log_says_so_to_those_who_ask_for_it",),
    ),
    Mutant(
        "what came and waits to be taken is bounded",
        _INBOX,
        "if not self._paused and (self._bytes",
        "if False and (self._bytes",
        (f"{_PEERS}test_nobody_sends_more_than_the_other_end_takes",),
    ),
    Mutant(
        "the last word comes through though more is on its way",
        _DUPLEX,
        "await asyncio.shield(connection.over)",
        "pass",
        (f"{_PEERS}test_the_last_word_comes_through_though_more_is_on_its_way_there",),
    ),
    Mutant(
        "an end of one direction leaves the other open",
        _DUPLEX,
        "            self._connection.write(encode_end(None))\n",
        "            self._connection.write(encode_end(None))\n            self._connection.close()\n",
        (f"{_PEERS}test_items_go_both_ways_until_both_have_said_their_last",),
    ),
)
