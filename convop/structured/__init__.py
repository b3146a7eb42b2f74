"""Operators whose matrix repeats itself, known by what repeats."""
