"""Neighbours: the same operators in other people's terms. Each imports its package on first use."""
