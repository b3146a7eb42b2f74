"""Operators in files: an `.npz` that holds no code, and is believed in nothing that it says of itself."""
