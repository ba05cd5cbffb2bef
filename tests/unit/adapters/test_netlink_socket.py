"""Exchanges with a kernel that does what a real one does seldom: a script of datagrams takes its place."""

import errno
import os
import socket
import struct

import pytest

from orion.adapters.netlink import codec
from orion.adapters.netlink.link import Request
from orion.adapters.netlink.socket import BATCH, MAX_DUMP_TRIES, Netlink, TooMuch

ASK = Request(18, 0, b"")
DUMP = Request(18, codec.DUMP, b"")
DO = Request(16, codec.ACK, b"")


class ScriptedSocket:
    """Answers each `send` with datagrams that `script` makes of its requests. Each is (bytes, flags, sender)."""

    def __init__(self, script):
        self.script = script
        self.sent = []
        self.waiting = []
        self.closed = False

    def setsockopt(self, *_):
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))  # an old kernel

    def settimeout(self, seconds):
        assert seconds > 0

    def send(self, data):
        requests = list(codec.messages(data))
        self.sent.append(requests)
        self.waiting += self.script(requests)

    def recvmsg(self, _):
        if not self.waiting:
            raise TimeoutError
        data, flags, sender = self.waiting.pop(0)
        return data, [], flags, sender

    def close(self):
        self.closed = True


KERNEL = (0, 0)


def answer(sequence, kind=16, flags=0, body=b""):
    return codec.message(kind, flags, sequence, body)


def acknowledged(sequence, code=0):
    return answer(sequence, codec.ERROR, body=struct.pack("=i", -code) + bytes(16))


def done(sequence, flags=0, code=0):
    return answer(sequence, codec.DONE, flags, struct.pack("=i", -code))


def netlink(script):
    scripted = ScriptedSocket(script)
    return Netlink(lambda: scripted), scripted


def test_an_answer_to_an_earlier_request_and_one_of_another_process_are_passed_over():
    def script(requests):
        (asked,) = requests
        return [
            (answer(asked.sequence, body=b"forged"), 0, (4711, 0)),
            (answer(asked.sequence - 1, body=b"late"), 0, KERNEL),
            (answer(asked.sequence, body=b"this"), 0, KERNEL),
        ]

    with netlink(script)[0] as opened:
        assert bytes(opened.one(ASK).body) == b"this"
        assert bytes(opened.one(ASK).body) == b"this"


def test_a_list_that_changed_while_it_was_written_is_asked_for_again():
    tries = []

    def script(requests):
        (asked,) = requests
        tries.append(asked.sequence)
        flags = codec.DUMP_INTERRUPTED if len(tries) < 3 else 0
        entries = answer(asked.sequence, body=b"%4d" % len(tries)) + answer(
            asked.sequence, flags=flags, body=b"more"
        )
        return [(entries, 0, KERNEL), (done(asked.sequence), 0, KERNEL)]

    with netlink(script)[0] as opened:
        assert [bytes(each.body) for each in opened.dump(DUMP)] == [b"   3", b"more"]


def test_a_list_that_never_stands_still_is_given_up():
    def script(requests):
        return [(done(requests[0].sequence, codec.DUMP_INTERRUPTED), 0, KERNEL)]

    opened, scripted = netlink(script)
    with opened, pytest.raises(TooMuch, match="changes faster than it can be read"):
        opened.dump(DUMP)
    assert len(scripted.sent) == MAX_DUMP_TRIES
    assert scripted.closed


def test_a_list_that_is_refused_raises_also_at_its_end():
    def at_once(requests):
        return [(acknowledged(requests[0].sequence, errno.EINVAL), 0, KERNEL)]

    def at_its_end(requests):
        return [(answer(requests[0].sequence) + done(requests[0].sequence, code=errno.EINVAL), 0, KERNEL)]

    for script in (at_once, at_its_end):
        with netlink(script)[0] as opened, pytest.raises(OSError, match="Invalid argument"):
            opened.dump(DUMP)


def test_a_list_without_an_end_is_given_up(monkeypatch):
    monkeypatch.setattr("orion.adapters.netlink.socket.MAX_DUMP_MESSAGES", 1_000)

    def script(requests):
        return [(answer(requests[0].sequence) * 200, 0, KERNEL)] * 100

    with netlink(script)[0] as opened, pytest.raises(TooMuch, match="more than 1,000 entries"):
        opened.dump(DUMP)


def test_results_belong_to_their_requests_whatever_the_order_of_the_answers():
    def script(requests):
        answers = [acknowledged(each.sequence, errno.ENOENT * (each.sequence % 2)) for each in requests]
        return [(each, 0, KERNEL) for each in reversed(answers)]

    opened, scripted = netlink(script)
    with opened:
        results = opened.do([DO] * (BATCH + 3))
    assert [bool(each) for each in results] == [bool(number % 2) for number in range(1, BATCH + 4)]
    assert [len(each) for each in scripted.sent] == [BATCH, 3]


def test_a_kernel_that_does_not_answer_ends_in_a_timeout():
    opened, _ = netlink(lambda requests: [])
    with opened:
        for call in (lambda: opened.one(ASK), lambda: opened.dump(DUMP), lambda: opened.do([DO])):
            with pytest.raises(TimeoutError):
                call()


def test_answers_to_others_do_not_put_the_deadline_off(monkeypatch):
    monkeypatch.setattr("orion.adapters.netlink.socket.DEADLINE_S", 0.02)

    class Chatter(ScriptedSocket):
        left = 5_000_000

        def recvmsg(self, _):
            self.left -= 1
            assert self.left, "it waits for ever"
            return answer(0), [], 0, KERNEL

    with Netlink(lambda: Chatter(lambda requests: [])) as opened:
        for call in (lambda: opened.one(ASK), lambda: opened.dump(DUMP), lambda: opened.do([DO])):
            with pytest.raises(TimeoutError):
                call()


def test_a_datagram_that_was_cut_is_not_believed():
    opened, _ = netlink(lambda requests: [(done(requests[0].sequence), socket.MSG_TRUNC, KERNEL)])
    with opened, pytest.raises(codec.Malformed, match="more than 65,536 bytes"):
        opened.dump(DUMP)


def test_a_transaction_is_over_with_the_answer_to_its_last_request_but_one():
    """The last one ends it, and is not answered by kernels before 6.10."""

    def script(requests):
        return [(acknowledged(requests[-2].sequence), 0, KERNEL)]

    opened, scripted = netlink(script)
    with opened:
        opened.transact([DO] * 4)
    (sent,) = scripted.sent
    assert len(sent) == 4


def test_of_a_transaction_the_first_error_is_raised_and_nothing_is_waited_for():
    def script(requests):
        refused = acknowledged(requests[1].sequence, errno.ENOENT)
        return [(refused + acknowledged(requests[2].sequence, errno.EEXIST), 0, KERNEL)]

    with netlink(script)[0] as opened, pytest.raises(FileNotFoundError):
        opened.transact([DO] * 4)


def test_entries_are_yielded_as_they_come_and_a_refusal_is_raised():
    def script(requests):
        sequence = requests[0].sequence
        return [
            (answer(sequence, body=b"one ") + answer(sequence - 1, body=b"late"), 0, KERNEL),
            (answer(sequence, body=b"two ") + done(sequence, code=refused), 0, KERNEL),
        ]

    refused = 0
    with netlink(script)[0] as opened:
        assert [bytes(each.body) for each in opened.each(DUMP)] == [b"one ", b"two "]
    refused = errno.EINVAL
    with netlink(script)[0] as opened, pytest.raises(OSError, match="Invalid argument"):
        list(opened.each(DUMP))
