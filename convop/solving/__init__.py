"""Inverse problems: least squares with a penalty, solved directly wherever the structure of the operator allows.

The package is not named `solve`, because that is the function.
"""
