"""From torch modules to operators, and from operators to torch layers."""
