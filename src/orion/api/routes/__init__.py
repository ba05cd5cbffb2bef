"""Handlers, a file a noun: parse, call one service method, render."""
