"""The operations: each one function with one settings model."""
