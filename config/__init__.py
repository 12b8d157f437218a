"""What the operator has set: typed values, where each came from, and whether they agree with each other."""
