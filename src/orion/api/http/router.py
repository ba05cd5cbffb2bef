"""Which app answers at which path."""

import functools
import re
from collections.abc import Mapping

from orion.api.http.asgi import ASGIApp, Receive, Scope, Send

_PARAMETER = r"\{([a-z_]+)(:whole)?\}"


class Router:
    """`apps` by the pattern of their paths: `{id}` is one part of a path, `{id:whole}` any number of parts, line
    ends included. The first pattern that fits counts; `default` answers where none does.
    """

    def __init__(self, apps: Mapping[str, ASGIApp], default: ASGIApp) -> None:
        self._literal = {path: app for path, app in apps.items() if "{" not in path}
        self._patterns = [(path, app) for path, app in apps.items() if "{" in path]
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app, params = self._found(scope["path"])
        scope["path_params"] = params
        await app(scope, receive, send)

    def _found(self, path: str) -> tuple[ASGIApp, dict[str, str]]:
        literal = self._literal.get(path)
        if literal is not None:
            return literal, {}
        for pattern, app in self._patterns:
            if match := _compiled(pattern).fullmatch(path):
                return app, match.groupdict()
        return self._default, {}


@functools.cache
def _compiled(path: str) -> re.Pattern[str]:
    pattern, end = "", 0
    for parameter in re.finditer(_PARAMETER, path):
        part = r"[\s\S]*" if parameter[2] else "[^/]+"
        pattern += re.escape(path[end : parameter.start()]) + f"(?P<{parameter[1]}>{part})"
        end = parameter.end()
    return re.compile(pattern + re.escape(path[end:]))
