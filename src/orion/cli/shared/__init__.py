"""Shared parts of commands: options, types of values, output, waiting."""
