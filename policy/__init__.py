"""Decides: who may act for whom, and what an account's status means. Pure: facts in, verdicts out."""
