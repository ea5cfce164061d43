"""The study of docs/study.md: its data, and its page from its results."""
