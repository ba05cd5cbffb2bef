"""Options of a task's container, in JSON: a file for each group of fields, and their rules."""
