"""Streams that were squeezed on their way."""

import http.client
import zlib
from collections.abc import Iterator

GZIP = 31  # of zlib: gzip's frame, and its largest window


def unpacked(chunks: Iterator[bytes], most_bytes: int) -> Iterator[bytes]:
    """In pieces of at most so many bytes, whatever they were made of. Raises HTTPException for what is no gzip."""
    unpack = zlib.decompressobj(wbits=GZIP)
    try:
        for chunk in chunks:
            yield unpack.decompress(chunk, most_bytes)
            while unpack.unconsumed_tail:
                yield unpack.decompress(unpack.unconsumed_tail, most_bytes)
    except zlib.error as error:
        raise http.client.HTTPException(str(error)) from None
