"""How a call is refused."""

from grpclib.const import Status


class Failed(Exception):
    """A call that is answered with a code of gRPC and words."""

    def __init__(self, status: Status, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def require(given: object, name: str) -> None:
    """Raises Failed where a field that has to be there is empty."""
    if not given:
        raise Failed(Status.INVALID_ARGUMENT, f"{name} is missing")
