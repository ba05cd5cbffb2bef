"""What a task asks for and what a node has to give: thousandths of a core, bytes of memory and disk."""

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


def bytes_text(count: int) -> str:
    """Bytes for people, decimal as Docker and disk makers count: 100 GB, 15.2 GB, 512 kB."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if abs(value) < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value == int(value) else f"{value:.1f} {unit}"
