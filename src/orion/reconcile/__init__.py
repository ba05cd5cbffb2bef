"""Decisions: desired against observed state gives the next actions. Each function is pure and looks at levels, not
events, so that a missed event costs time and never correctness.
"""
