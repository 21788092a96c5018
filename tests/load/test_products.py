"""The statement that copies products names every column once."""

from __future__ import annotations

import pytest

from load.products import copying


def test_what_is_a_copys_own_is_computed_and_the_rest_is_the_originals():
    text = copying("catalog_stock", ["variant_id", "on_hand"], {"variant_id": "f(series.number)"}).as_string(
        None
    )

    assert (
        'INSERT INTO "catalog_stock" ("variant_id", "on_hand") SELECT f(series.number), o."on_hand" FROM'
        in text
    )


def test_a_column_that_is_no_more_is_named():
    with pytest.raises(ValueError, match="catalog_stock has no column variant_id"):
        copying("catalog_stock", ["id"], {"variant_id": "1"})
