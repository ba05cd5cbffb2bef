"""Desired against observed -> what to do next. Pure: each function looks at levels, so that a missed event
costs time, never correctness.
"""
