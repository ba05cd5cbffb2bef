from hypothesis import given
from hypothesis import strategies as st

from orion.state.job_queue import JobQueue

SERIALS = st.integers(0, 3_000)


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
