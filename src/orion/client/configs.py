"""Configs, as methods of the client."""

from orion.client.session import Session, new_key, page_query, path_of, stale_query, version_query
from orion.client.transport import Answer
from orion.model.api.configs import ConfigValue, ConfigView
from orion.model.configs import key_error
from orion.model.errors import Refused

TAR = "application/x-tar"


class Configs(Session):
    def config(self, key: str, *, stale: bool = False) -> ConfigValue:
        answer = self._ask("GET", _config_path(key), stale_query(stale))
        return _value(key, answer)

    def poll_config(self, key: str, after_index: int = 0, *, wait_s: float = 30.0) -> tuple[ConfigValue, int]:
        """As poll_tasks."""
        query = {"index": str(after_index), "wait": f"{wait_s:g}"} if after_index else {}
        answer = self._ask("GET", _config_path(key), query, wait_s=wait_s if after_index else 0.0)
        return _value(key, answer), answer.index

    def config_and_view(self, key: str, *, stale: bool = False) -> tuple[bytes, ConfigView]:
        """The value and all else of a config, as they were at one moment."""
        answer = self._ask("GET", _config_path(key), stale_query(stale))
        size = len(answer.body)
        folder = answer.media == TAR
        return answer.body, ConfigView(key, answer.version, size, answer.created_at, answer.changed_at, folder)

    def configs(
        self, prefix: str = "", *, stale: bool = False, after: str = "", limit: int = 0
    ) -> list[ConfigView]:
        """All whose key begins with `prefix`, without their values. Pages as of tasks."""
        query = {"prefix": prefix, **stale_query(stale), **page_query(after, limit)}
        return self._get("/configs", list[ConfigView], query)[0]

    def poll_configs(
        self, prefix: str = "", after_index: int = 0, *, wait_s: float = 30.0
    ) -> tuple[list[ConfigView], int]:
        """As poll_tasks; what has changed has another version, what was deleted is not there."""
        return self._poll("/configs", list[ConfigView], after_index, wait_s, {"prefix": prefix})

    def put_config(
        self,
        key: str,
        value: bytes,
        *,
        if_version: int | None = None,
        folder: bool = False,
        idempotency_key: str = "",
    ) -> ConfigView:
        """`if_version`: only if it is at this version, 0: only if it does not exist; else Conflict. `folder`: the
        value is a tar, of a folder with all that is in it; Refused where it holds what no folder can have.
        """
        query = {**version_query(if_version), **({"folder": "1"} if folder else {})}
        headers = {"Content-Type": "application/octet-stream", "Idempotency-Key": idempotency_key or new_key()}
        answer = self._ask("PUT", _config_path(key), query, headers, value)
        return self._decoded(answer, ConfigView)

    def delete_config(self, key: str, *, if_version: int | None = None, idempotency_key: str = "") -> ConfigView:
        """Returns it as it was. Raises NotFound; Conflict as put_config."""
        headers = {"Idempotency-Key": idempotency_key or new_key()}
        answer = self._ask("DELETE", _config_path(key), version_query(if_version), headers)
        return self._decoded(answer, ConfigView)


def _value(key: str, answer: Answer) -> ConfigValue:
    return ConfigValue(key, answer.body, answer.version, answer.media == TAR)


def _config_path(key: str) -> str:
    """Raises Refused for what is no key: as a path, it could be that of something else."""
    if not key:
        raise Refused("the key is empty: name a config, as in app/database/url")
    if (wrong := key_error(key)) is not None:
        raise Refused(wrong)
    return path_of("/configs", key)
