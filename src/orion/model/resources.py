"""Resources that a task asks for or a node has: thousandths of a core, bytes of memory and disk."""

import msgspec

MIB = 1024 * 1024


class Resources(msgspec.Struct, frozen=True, array_like=True, gc=False):
    cpu_millis: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu_millis + other.cpu_millis,
            self.memory_bytes + other.memory_bytes,
            self.disk_bytes + other.disk_bytes,
        )

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(
            self.cpu_millis - other.cpu_millis,
            self.memory_bytes - other.memory_bytes,
            self.disk_bytes - other.disk_bytes,
        )

    def fits(self, free: "Resources") -> bool:
        return (
            self.cpu_millis <= free.cpu_millis
            and self.memory_bytes <= free.memory_bytes
            and self.disk_bytes <= free.disk_bytes
        )


# The larger units that people write, by whether they are powers of 1024.
_UNITS = {
    False: (("kB", 1000), ("MB", 1000**2), ("GB", 1000**3), ("TB", 1000**4), ("PB", 1000**5)),
    True: (("KiB", 1024), ("MiB", 1024**2), ("GiB", 1024**3), ("TiB", 1024**4), ("PiB", 1024**5)),
}
_MOST_DIGITS = 4  # of an amount that a person has written


def bytes_text(count: int, *, binary: bool = False) -> str:
    """Returns bytes for people: 100 GB, 15.2 GB, 512 kB, as Docker and disk makers count. With `binary`: 15.2
    GiB.
    """
    value, unit = float(count), "B"
    for larger, size in _UNITS[binary]:
        if abs(count) < size:
            break
        value, unit = count / size, larger
    return f"{value:.0f} {unit}" if value == int(value) else f"{value:.1f} {unit}"


def size_text(count: int, *, like: int | None = None) -> str:
    """Returns bytes in the units in which they, or `like`, were written: 512m is 512 MiB, 100000000 is 100 MB. A
    measured amount is decimal.
    """
    return _text(count, binary=_in_binary(count if like is None else like))


def _text(count: int, *, binary: bool) -> str:
    return _written(count, binary=binary) or bytes_text(count, binary=binary)


def part_text(part: str, total: str) -> str:
    """Returns words for a part of an amount, with one unit for both when they share it: 12.3 of 54.1 MB."""
    number, _, unit = part.partition(" ")
    return f"{number if total.endswith(f' {unit}') else part} of {total}"


def amount_text(given: float, total: float, *, binary: bool | None = None) -> str:
    """Returns words for a part of some bytes: 1.5 of 8 GB. The unit is that of the total when a person has written
    it, else that of the part. `binary`: one kind of units for a whole column.
    """
    if binary is None:
        binary = _in_binary(int(total if is_written(int(total)) else given))
    part, whole = (_text(int(amount), binary=binary) for amount in (given, total))
    return part_text(part if given else "0", whole)


def column_text(count: int) -> str:
    """Returns bytes as they are compared in a column: always in powers of 1024, as people ask with 512m and 10g."""
    return _text(count, binary=True)


def is_written(count: int) -> bool:
    """Returns True when an amount is round in some unit, as amounts are that people write. A measured one seldom
    is.
    """
    return bool(_written(count, binary=False) or _written(count, binary=True))


def _in_binary(count: int) -> bool:
    decimal, binary = _written(count, binary=False), _written(count, binary=True)
    return bool(binary) and (not decimal or len(binary.split()[0]) < len(decimal.split()[0]))


def _written(count: int, *, binary: bool) -> str:
    """Returns the amount if it takes few digits in its largest unit or in a smaller one; else ""."""
    for unit, size in reversed(_UNITS[binary]):
        thousandths, rest = divmod(count * 1000, size)
        if count < size or rest:
            continue
        text = f"{thousandths // 1000}.{thousandths % 1000:03}".rstrip("0").rstrip(".")
        return f"{text} {unit}" if len(text.replace(".", "").rstrip("0")) <= _MOST_DIGITS else ""
    return ""
