"""A few of the mistakes people can make: 600 random bad calls (`measure_bad_calls.py` runs more)."""

import bad_calls


def test_only_errors_of_convop():
    taken, wrong = bad_calls.fuzz(600, seed=0)
    assert not wrong, "\n".join(wrong)
    assert 5 < taken < 300  # some junk is right where it lands; most is not
