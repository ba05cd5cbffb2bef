import asyncio

import pytest

from orion.api.http.router import Router

PATHS = ("/", "/tasks", "/tasks/{id:whole}/logs", "/tasks/{id:whole}", "/nodes/{id}", "/nodes/{id}/labels", "/a.b")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", ("/", {})),
        ("/tasks", ("/tasks", {})),
        ("/tasks/web/0", ("/tasks/{id:whole}", {"id": "web/0"})),
        ("/tasks/web/0/logs", ("/tasks/{id:whole}/logs", {"id": "web/0"})),
        ("/tasks/", ("/tasks/{id:whole}", {"id": ""})),
        ("/tasks/a\nb", ("/tasks/{id:whole}", {"id": "a\nb"})),
        ("/nodes/n1", ("/nodes/{id}", {"id": "n1"})),
        ("/nodes/n1/labels", ("/nodes/{id}/labels", {"id": "n1"})),
        ("/nodes/n1/other", ("nothing", {})),
        ("/nodes/", ("nothing", {})),
        ("/tasks\n", ("nothing", {})),
        ("/axb", ("nothing", {})),
        ("tasks", ("nothing", {})),
    ],
)
def test_the_first_pattern_that_fits_answers(path, found):
    answered = []

    def app(name):
        async def answer(scope, receive, send):
            answered.append((name, scope["path_params"]))

        return answer

    router = Router({each: app(each) for each in PATHS}, app("nothing"))
    asyncio.run(router({"path": path}, None, None))
    assert answered == [found]
