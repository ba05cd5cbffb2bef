"""Texts of screens, in lines: pure functions of rows and views."""
