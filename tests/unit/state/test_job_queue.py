from hypothesis import given
from hypothesis import strategies as st

from orion.state.job_queue import JobQueue, next_priority, queue_key, serial_of

SERIALS = st.integers(-3_000, 3_000)


@given(st.lists(st.tuples(st.booleans(), SERIALS), max_size=60), SERIALS)
def test_it_is_a_dict_in_the_order_of_serials(changes, start):
    ages, names = JobQueue(), {}
    for added, serial in changes:
        if added:
            ages.add(serial, f"job{serial}")
            names[serial] = f"job{serial}"
        else:
            ages.discard(serial)
            names.pop(serial, None)
    assert list(ages.items()) == sorted(names.items())
    assert list(ages.items(start)) == sorted(row for row in names.items() if row[0] >= start)
    ages.clear()
    assert list(ages.items()) == []


@given(st.lists(st.tuples(st.integers(-100, 100), st.integers(0, 1 << 39)), min_size=1))
def test_a_higher_priority_goes_first_then_the_older_job(jobs):
    by_key = sorted(jobs, key=lambda job: queue_key(*job))
    assert by_key == sorted(jobs, key=lambda job: (-job[0], job[1]))
    for priority, serial in jobs:
        key = queue_key(priority, serial)
        assert serial_of(key) == serial
        assert next_priority(key) == queue_key(priority - 1, 0)
