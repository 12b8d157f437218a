"""The demonstration behind `make run`: a gateway of its own, real clients, one delegated exchange, told line by line."""
