"""Files as the archive that Docker unpacks into a container."""

import io
from collections.abc import Sequence

from orion.model.container import File


def archive(files: Sequence[File]) -> bytes:
    """A tar of these alone. Folders above them are not in it: of those that are there it would change the mode, and
    those that are missing Docker makes.
    """
    import tarfile  # with two compressors; most nodes put no files

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            info = tarfile.TarInfo(file.path.lstrip("/"))
            info.size, info.mode = len(file.content), file.mode
            info.uid, info.gid, info.mtime = file.uid, file.gid, file.modified_s
            info.type, info.linkname = file.kind.value.encode(), file.target
            tar.addfile(info, io.BytesIO(file.content))
    return buffer.getvalue()
