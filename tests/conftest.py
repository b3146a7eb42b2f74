"""Settings that all tests share."""

import os

import hypothesis

# The same examples on every run: a failure on one machine is a failure on all.
hypothesis.settings.register_profile("convop", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("convop")

# The same choices on every machine, whatever was measured on it.
os.environ["CONVOP_MACHINE"] = "default"
