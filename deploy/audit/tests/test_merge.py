"""The one piece of the audit that is neither SQL nor a rule of the shop: laying two ordered streams side by side."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.engine import merge

keys = st.sets(st.uuids().map(str))


@given(keys, keys)
def test_every_key_comes_once_with_whatever_there_is_of_it(left, right):
    pairs = list(merge(((key, 0.0) for key in sorted(left)), ((key, 1.0) for key in sorted(right))))
    assert {one[0] for one, _ in pairs if one} == left
    assert {other[0] for _, other in pairs if other} == right
    assert all(one is None or other is None or one[0] == other[0] for one, other in pairs)
    found = [(one or other)[0] for one, other in pairs]
    assert found == sorted(left | right)


@given(keys)
def test_uuids_as_text_have_the_order_that_postgresql_gives_them(some):
    """Bytes there, letters here."""
    from uuid import UUID

    assert sorted(some) == sorted(some, key=lambda each: UUID(each).bytes)
