"""Choosing alpha from the data: what an estimate leaves over, by spectrum or by probes, and what is made of that."""
