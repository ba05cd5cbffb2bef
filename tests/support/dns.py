"""Questions to a DNS server, and its answers taken apart: written after the RFCs, apart from what it tests."""

import struct
from dataclasses import dataclass, field

A, NS, SOA, PTR, TXT, AAAA, SRV, OPT, AXFR, ANY = 1, 2, 6, 12, 16, 28, 33, 41, 252, 255
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


def wire_name(name):
    """`name` as str or as labels in bytes."""
    labels = name if isinstance(name, list) else [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def edns(size=1232, *, version=0, dnssec_ok=False, options=b""):
    return b"\0" + struct.pack(">HHBBHH", OPT, size, 0, version, 0x8000 if dnssec_ok else 0, len(options)) + options


def query(name, kind=A, *, ident=0x1234, flags=0x0100, klass=1, more=(), counts=None):
    """`more` are additional records in bytes. `counts` replace those of the four sections."""
    counts = counts or (1, 0, 0, len(more))
    return (
        struct.pack(">HHHHHH", ident, flags, *counts)
        + wire_name(name)
        + struct.pack(">HH", kind, klass)
        + b"".join(more)
    )


@dataclass
class Record:
    name: str
    kind: int
    klass: int
    ttl: int
    data: bytes
    value: object = None


@dataclass
class Message:
    ident: int
    flags: int
    question: bytes = b""
    name: str = ""
    kind: int = 0
    sections: tuple = field(default_factory=lambda: ([], [], []))

    code = property(lambda self: self.flags & 15)
    truncated = property(lambda self: bool(self.flags & 0x0200))
    authoritative = property(lambda self: bool(self.flags & 0x0400))
    answers = property(lambda self: self.sections[0])
    authority = property(lambda self: self.sections[1])
    additional = property(lambda self: [r for r in self.sections[2] if r.kind != OPT])
    edns = property(lambda self: next((r for r in self.sections[2] if r.kind == OPT), None))
    values = property(lambda self: [r.value for r in self.answers])


def parse(data):
    """Raises AssertionError, IndexError or struct.error for what is no whole message."""
    ident, flags, questions, *counts = struct.unpack_from(">HHHHHH", data)
    message, at = Message(ident, flags), 12
    assert questions <= 1
    if questions:
        message.name, end = _name(data, at)
        (message.kind, _), at = struct.unpack_from(">HH", data, end), end + 4
        message.question = data[12:at]
    for section, count in zip(message.sections, counts, strict=True):
        for _ in range(count):
            name, at = _name(data, at)
            kind, klass, ttl, length = struct.unpack_from(">HHIH", data, at)
            at += 10
            assert at + length <= len(data)
            record = Record(name, kind, klass, ttl, data[at : at + length])
            record.value = _value(record, data, at)
            section.append(record)
            at += length
    assert at == len(data), "bytes after the last record"
    return message


def _value(record, data, at):
    if record.kind == A:
        assert len(record.data) == 4
        return ".".join(map(str, record.data))
    if record.kind == AAAA:
        assert len(record.data) == 16
        return record.data.hex(":", 2)
    if record.kind == PTR:
        return _name(data, at)[0]
    if record.kind == SRV:
        return (*struct.unpack_from(">HHH", data, at), _name(data, at + 6)[0])
    if record.kind == SOA:
        primary, at = _name(data, at)
        mailbox, at = _name(data, at)
        return (primary, mailbox, *struct.unpack_from(">IIIII", data, at))
    return record.data


def _name(data, at):
    labels, end, jumps = [], None, 0
    while length := data[at]:
        if length >= 0xC0:
            end = end or at + 2
            at = (length & 0x3F) << 8 | data[at + 1]
            jumps += 1
            assert jumps < 20
            continue
        assert length < 64
        labels.append(data[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join(labels), end or at + 1
