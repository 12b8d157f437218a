"""What speaks and acts: protocols, the services behind them, the command line."""
