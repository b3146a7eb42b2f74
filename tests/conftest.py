"""Settings that all tests share."""

import hypothesis

# The same examples on every run: a failure on one machine is a failure on all.
hypothesis.settings.register_profile("convop", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("convop")
