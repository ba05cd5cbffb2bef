"""The mutations: what each breaks, where, and the tests that see it."""

from mutants.requests import REQUESTS
from mutants.rooms import ROOMS
from mutants.runner import Mutant

_CONNECTION = "src/orion/api/http/connection.py"
_HEAD = "src/orion/api/http/head.py"
_DEADLINES = "src/orion/api/http/deadlines.py"
_STREAM = "src/orion/api/http/stream.py"
_LISTS = "src/orion/node/rpc/lists.py"

API = (
    Mutant(
        "an unfinished head is bounded",
        _CONNECTION,
        "if self._head.drags_on(taken) and",
        "if False and",
        ("unit/api/test_api_connections.py::test_an_unfinished_head_is_bounded_before_it_is_whole",),
    ),
    Mutant(
        "headers are counted",
        _HEAD,
        "if len(self.headers) > MAX_HEADERS:",
        "if False:",
        ("unit/api/test_api_connections.py::test_a_head_that_is_too_large_is_told_so",),
    ),
    Mutant(
        "requests that wait are kept as bytes",
        _CONNECTION,
        " and (self._taking or not self.under_way):",
        ":",
        ("unit/api/test_api_connections.py::test_requests_that_wait_are_not_understood_before_their_turn",),
    ),
    Mutant(
        "the parser is given a few requests at a time",
        _CONNECTION,
        "end = data.find(_END_OF_HEAD, begin + STEP_BYTES)",
        "end = -1",
        ("unit/api/test_api_connections.py::test_requests_that_come_with_one_wait_as_bytes_too",),
    ),
    Mutant(
        "the body of a request for another protocol is no request",
        _HEAD,
        "if upgrades and self._has_body:",
        "if False:",
        ("unit/api/test_api_http.py::test_the_body_of_a_request_for_another_protocol_is_never_a_request",),
    ),
    Mutant(
        "a client of which nothing is read is seen to hang up",
        _CONNECTION,
        "if Reader(self.transport).hung_up():",
        "if False:",
        ("unit/api/test_api_http.py::test_a_client_of_which_nothing_more_is_read_is_seen_to_hang_up",),
    ),
    Mutant(
        "a request names one host",
        _HEAD,
        "if self._hosts > 1 or",
        "if False and",
        ("unit/api/test_api_http.py::test_what_is_no_http_is_told_and_the_connection_closed",),
    ),
    Mutant(
        "a body that may not come ends the connection",
        "src/orion/api/http/exchange.py",
        "if self._expects_continue and self._more_body:",
        "if False:",
        ("unit/api/test_api_http.py::test_a_body_that_may_be_left_out_ends_the_connection",),
    ),
    Mutant(
        "each head has its deadline",
        _CONNECTION,
        "        if self._head.begun:\n            self._give(HEAD_S)",
        "        if self._head.begun:\n            pass",
        ("unit/api/test_api_connections.py::test_the_second_head_has_its_time_too",),
    ),
    Mutant(
        "a refusal is not written into the answer of another",
        _CONNECTION,
        "if exchange is not None and not (exchange is self._taking and exchange.is_given_up()):",
        "if False:",
        ("unit/api/test_api_connections.py::test_no_answer_is_written_into_another",),
    ),
    Mutant(
        "the longest idle connection makes room",
        "src/orion/api/http/connections.py",
        "while len(self.open) > self._most:",
        "while False:",
        ("unit/api/test_api_connections.py::test_the_one_that_has_asked_nothing_for_longest_makes_room",),
    ),
    Mutant(
        "a broken stream is not ended as if it were whole",
        _STREAM,
        "if error and not self._ends_cleanly:",
        "if False:",
        ("unit/api/test_api_streams.py::test_an_error_after_it_breaks_the_body_off",),
    ),
    Mutant(
        "silent streams beat",
        _STREAM,
        "            await self._send(send, item)\n            pause_s = HEARTBEAT_S if self._heartbeat else None",
        "            await self._send(send, item)\n            pause_s = None",
        ("unit/api/test_api_streams.py::test_logs_that_fall_silent_show_signs_of_life",),
    ),
    Mutant(
        "what waits ends when the node stops",
        _DEADLINES,
        "        for deadline in tuple(self._waits):\n            bring_forward(deadline)",
        "        pass",
        ("unit/api/test_api_server.py::test_stopping_ends_what_waits_and_what_streams",),
    ),
    Mutant(
        "a page of another site changes nothing",
        "src/orion/api/http/origin.py",
        "if not harmless and origin",
        "if False and origin",
        ("unit/api/test_api_bad_input.py::test_a_page_of_another_site_changes_nothing",),
    ),
    Mutant(
        "a name that was pointed at this machine is refused",
        "src/orion/api/http/origin.py",
        "and not _names_this_machine(host)",
        "and False",
        ("unit/api/test_api_bad_input.py::test_a_name_that_was_pointed_at_this_machine_is_refused",),
    ),
    Mutant(
        "who takes nothing of a list is cut off",
        "src/orion/api/http/lists.py",
        "async with asyncio.timeout(TAKE_S):",
        "async with asyncio.timeout(None):",
        ("unit/api/test_api_lists.py::test_who_takes_nothing_of_a_list_is_cut_off_and_it_is_let_go",),
    ),
)

NODE = (
    Mutant(
        "a shared list is as new as who wants it asks",
        _LISTS,
        "known.index >= at_least and",
        "True and",
        ("unit/node/test_lists.py::test_who_comes_while_a_list_is_made_shares_it_only_if_it_is_new_enough",),
    ),
    Mutant(
        "the bytes of lists that nobody has any more are free again",
        _LISTS,
        "        self._held_bytes -= size_bytes\n",
        "        pass\n",
        ("unit/node/test_lists.py::test_bytes_on_their_way_are_bounded_and_come_back",),
    ),
    Mutant(
        "a list is made in slices",
        _LISTS,
        "if not buffer or rows % SLICE_ROWS == 0:",
        "if False:",
        ("unit/node/test_lists.py::test_a_long_list_is_made_in_slices_of_a_turn",),
    ),
    Mutant(
        "so many a turn go through a turnstile",
        "src/orion/node/runtime/turnstile.py",
        "if self._left > 0 and not self._queue:",
        "if True:",
        ("unit/node/test_lists.py::test_so_many_a_turn_go_through_a_turnstile_in_order",),
    ),
)

_CLIENT = "src/orion/adapters/docker/http/client.py"
_CHANNEL = "src/orion/adapters/docker/http/channel.py"
_PARSER = "src/orion/adapters/docker/http/parser.py"
_POOL = "src/orion/adapters/docker/http/pool.py"
_HTTP = "contract/test_docker_http.py::"

DOCKER = (
    Mutant(
        "a request that may do something twice is sent once",
        _CLIENT,
        "if channel.answered or method not in IDEMPOTENT:",
        "if channel.answered:",
        (_HTTP + "test_a_request_that_may_do_something_twice_is_sent_once",),
    ),
    Mutant(
        "a request is not sent again after a part of its answer",
        _CLIENT,
        "if channel.answered or method not in IDEMPOTENT:",
        "if method not in IDEMPOTENT:",
        (_HTTP + "test_a_request_is_sent_again_once_and_not_after_a_part_of_its_answer",),
    ),
    Mutant(
        "an endless error is cut",
        _CLIENT,
        "return text[:MAX_ERROR_BYTES]",
        "return text",
        (_HTTP + "test_an_endless_error_is_cut",),
    ),
    Mutant(
        "an endless answer has a bound",
        _CLIENT,
        'raise AnswerTooLarge(f"an answer of more than {most_bytes} bytes")',
        "break",
        (_HTTP + "test_an_endless_body_has_a_bound",),
    ),
    Mutant(
        "a connection that was closed while idle is not used",
        _CHANNEL,
        "return finished and self._open and not self._readable()",
        "return finished and self._open",
        (_HTTP + "test_a_connection_that_was_closed_while_idle_is_not_used",),
    ),
    Mutant(
        "who does not read is not sent more",
        _CHANNEL,
        "if self._held_bytes > MOST_HELD_BYTES and self._reading:",
        "if False:",
        ("unit/adapters/test_docker_http_parts.py::test_a_body_that_nobody_takes_is_not_read_on",),
    ),
    Mutant(
        "an unfinished answer is not taken for a whole one",
        _PARSER,
        "if self.complete or self.raw or (self.head is not None and self._until_the_end):",
        "if self.head is not None:",
        (_HTTP + "test_a_broken_answer_is_told_and_ends_its_connection",),
    ),
    Mutant(
        "a closed client makes no connection that stays",
        _POOL,
        "        if self._closed:\n",
        "        if False:\n",
        (_HTTP + "test_a_closed_client_makes_no_connection_that_stays",),
    ),
    Mutant(
        "an answer is closed once",
        _CLIENT,
        "        if self._closed:\n",
        "        if False:\n",
        (_HTTP + "test_an_answer_that_is_closed_twice_leaves_the_connection_to_who_has_it_then",),
    ),
    Mutant(
        "idle connections have a bound",
        _POOL,
        "if len(self._idle) > self._most_idle:",
        "if False:",
        (_HTTP + "test_idle_connections_have_a_bound_and_end",),
    ),
    Mutant(
        "a container's pending output is bounded",
        "src/orion/adapters/docker/frames.py",
        "if size > MAX_FRAME_BYTES:",
        "if False:",
        ("unit/adapters/test_docker_streams.py::test_output_that_is_not_understood_is_refused",),
    ),
    Mutant(
        "a progress line without an end is refused",
        "src/orion/adapters/docker/streams.py",
        "if len(self._pending) > MAX_LINE_BYTES:",
        "if False:",
        ("unit/adapters/test_docker_streams.py::test_an_endless_line_is_refused",),
    ),
    Mutant(
        "labels alone do not make a container ours",
        "src/orion/adapters/docker/decode.py",
        'return labels if f"/{name}" in names else None',
        "return labels",
        ("unit/adapters/test_docker_decode.py::test_labels_without_the_name_that_goes_with_them_are_a_copy_s",),
    ),
)

MUTANTS = (*API, *NODE, *ROOMS, *REQUESTS, *DOCKER)
