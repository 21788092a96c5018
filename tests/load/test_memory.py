"""Memory from /proc."""

from __future__ import annotations

import os

from load.idle import memory, pss

ROLLUP = """\
55d0c0000000-7ffd00000000 ---p 00000000 00:00 0    [rollup]
Rss:               81234 kB
Pss:               40321 kB
Pss_Dirty:          1024 kB
"""


def test_the_proportional_size_is_taken_in_bytes():
    assert pss(ROLLUP) == 40321 * 1024


def test_a_process_without_memory_counts_nothing():
    assert pss("") == 0


def test_this_process_has_memory_and_one_that_is_gone_has_none():
    assert memory([os.getpid()]) > 2**20
    assert memory([2**22 + 1]) == 0
