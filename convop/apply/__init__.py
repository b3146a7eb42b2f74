"""Pure functions of (geometry, weight, signal): one engine a file, and the table that chooses."""
