"""Docker's error messages in words that say what happened and what to do; others pass as they are."""

import errno
import re
from collections.abc import Callable

from orion.model.errors import ContainerGone, EngineDown, EngineError, PortRefused

# What a person can't use: which endpoint by which hash, which file of runc.
_NOISE = (
    r"driver failed programming external connectivity on endpoint \S+ \([0-9a-f]+\): "
    r"|failed to create (task|shim task) for container: |failed to create shim(?: task)?: "
    r"|OCI runtime create failed: |container_linux\.go:\d+: |runc create failed: "
    r"|(unable to start container process|starting container process caused): |: unknown$"
)
# A host port that the machine does not give, and then the reason.
_BIND = r"(?:listen \S+ \S*:(\d+): bind|failed to bind host port (?:for )?(?:\[\S*?\]|[^\s:]*):(\d+)\S*?): "
_PORT_TAKEN = rf"{_BIND}address already in use|Bind for \S*?:(\d+) failed: port is already allocated"
# pattern -> plain words, is it permanent
_PLAIN: tuple[tuple[str, str, bool], ...] = (
    (
        r"Bind for \S*?:(\d+) failed: port is already allocated",
        r"port \1 is taken on this machine by another container (port is already allocated)",
        False,
    ),
    (
        rf"{_BIND}address already in use",
        r"port \1\2 is taken on this machine by another program (address already in use)",
        False,
    ),
    (
        r"(?:listen \S+ |failed to bind host port (?:for )?)(\S+):\d+: ?\S*: cannot assign requested address",
        r"\1 is not an address of this machine: no port can be published there (cannot assign requested address)",
        False,
    ),
    (
        r"(?i)no command specified",
        "the image has no command of its own: say which, as in orion run IMAGE COMMAND",
        True,
    ),
    (
        r'cannot overwrite directory "?(/[^" ]*)"? with non-directory',
        r"the image has a folder at \1, where a file was to be put: give the config another path",
        True,
    ),
    (
        r"tar file\(.*?\): \w+ (/\S+): not a directory",
        r"\1 can't be made, a part of its path is a file of the image: give the config another path",
        True,
    ),
    (
        r'exec: ("[^"]+"): (executable file not found in \$PATH|stat \S+: no such file or directory)',
        r"the image has no command \1 (\2)",
        True,
    ),
    (
        r'exec: ("[^"]+"): (permission denied|exec format error|is a directory)',
        r"the command \1 can't be run (\2)",
        True,
    ),
)
# A registry's ways of saying that it has no such image; asking again won't help.
_NO_SUCH_IMAGE = (
    r"(?i)manifest unknown|manifest for \S+ not found|repository \S+ not found|name unknown|\S: not found$"
    r"|invalid reference"
)
# That it does not give the image to us, now. Credentials expire, quotas refill, and who answers in place of a
# registry that is away says 401 as readily as 503.
_NOT_NOW = (
    r"(?i)unauthorized|denied|no basic auth credentials|forbidden|toomanyrequests|too many requests"
    r"|parsing HTTP \d+ response|unexpected (HTTP )?status"
)


# What another node's engine or machine may have, though it is a bad request to this one's.
_ELSEWHERE = (
    r"(?i)Requested (CPUs|memory nodes) are not available|unknown or invalid runtime name|log driver named|"
    r"could not select device driver|cgroup-parent for systemd|kernel does not support|is not supported|"
    r"the specified platform"
)


class NameTaken(EngineError):
    """Another container has the name."""


def plain(message: str) -> tuple[str, bool]:
    """The words, and whether they tell of something permanent."""
    message = " ".join(message.split())
    for pattern, template, permanent in _PLAIN:
        found = re.search(pattern, message)
        if found:
            return found.expand(template), permanent
    return re.sub(_NOISE, "", message), False


def refusal(status: int, message: str) -> EngineError:
    """The engine answered `status` with `message`. 400 is its word for a request that can never be carried out."""
    words, permanent = plain(message)
    if port := re.search(_PORT_TAKEN, message):
        return PortRefused(words, port=int(port[port.lastindex or 0]))
    if status == 409 and "is already in use by container" in words:
        return NameTaken(words)
    return EngineError(words, permanent=permanent or (status == 400 and not re.search(_ELSEWHERE, words)))


def logs_refusal(status: int, message: str) -> EngineError:
    """The engine answered so when it was asked for a container's output. One that is just being removed is gone."""
    if "No such container" in message:
        return ContainerGone(plain(message)[0])
    if "dead or marked for removal" in message:
        return ContainerGone("No such container: it is being removed")
    if "does not support reading" in message:
        return EngineError("its log driver keeps no output that could be read: docker logs can't show it either")
    return refusal(status, message)


def pull_refusal(image: str, status: int, message: str) -> EngineError:
    """`status` is the engine's own: 400 and 404 are its words for a name that is none, and for what was not found,
    which may be for want of the right to see it.
    """
    words = " ".join(message.split())
    missing = status in {400, 404} or re.search(_NO_SUCH_IMAGE, words) is not None
    permanent = missing and re.search(_NOT_NOW, words) is None
    return EngineError(f"{image} can't be pulled: {words}", permanent=permanent)


def registry_refusal(_: int, message: str) -> EngineError:
    """The registry, or the engine on the way to it, answered so when it was asked for the digest of a name."""
    return EngineError(f"the registry does not say which it is: {' '.join(message.split())}")


def pull_silence(image: str, silence_s: float) -> EngineError:
    return EngineError(f"{image} can't be pulled: no progress for {silence_s:.0f} s; does its registry answer?")


def no_answer(docker_host: str, error: OSError) -> EngineDown:
    match _kernel_number(error):
        case errno.ENOENT:
            return EngineDown(f"there is no Docker Engine at {docker_host}: is it installed and running?")
        case errno.EACCES | errno.EPERM:
            return EngineDown(
                f"this user may not use the Docker Engine at {docker_host}: "
                "add it to the group docker, or run as root"
            )
        case errno.ECONNREFUSED:
            return EngineDown(f"the Docker Engine at {docker_host} refuses connections: is it running?")
    why = str(error) or type(error).__name__
    return EngineDown(
        f"the Docker Engine does not answer at {docker_host}: is it running, and may this user use it? ({why})"
    )


def too_late(docker_host: str, deadline_s: float) -> EngineDown:
    return EngineDown(f"the Docker Engine at {docker_host} did not answer within {deadline_s:.0f} s")


def not_understood(error: Exception) -> EngineError:
    return EngineError(f"the Docker Engine's answer is not understood ({type(error).__name__}: {error})")


def late(what: str) -> Callable[[float], EngineError]:
    """For work on one container or image ("stop the container") that may hang in an engine that is well."""
    return lambda deadline_s: EngineError(f"the Docker Engine did not {what} within {deadline_s:.0f} s")


def _kernel_number(error: OSError) -> int | None:
    """An SSLError's number is OpenSSL's, of which 1 is not EPERM."""
    import ssl

    return None if isinstance(error, ssl.SSLError) else error.errno
