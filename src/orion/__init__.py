"""Orion turns a few Linux servers into one self-healing machine for containers."""

__version__ = "0.1.0"
