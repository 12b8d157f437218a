"""Answering: one file per command family."""
