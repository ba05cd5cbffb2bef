"""Says what a name means to whoever asks for it."""

from collections.abc import Callable

from orion.model.dns import Answer, Forward, Question

# Given the question and the address of the client, in its written form. It is called on the event loop for each
# query: it answers from what is in memory, and waits for nothing. An answer with the code REFUSED is one that the
# client may not have.
Resolve = Callable[[Question, str], Answer | Forward]
