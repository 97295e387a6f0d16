"""A package of your own, as it lies beside a pipeline: not on PyPI, and changed every hour."""

import re


def words(text):
    """The words of a text, in lower case."""
    return re.findall(r"[a-z']+", text.lower())


def sentences(text):
    return [part.strip() for part in re.split(r"[.!?]+", text) if part.strip()]


def reading_ease(text):
    """Mean words per sentence: the fewer, the easier."""
    return len(words(text)) / len(sentences(text))
