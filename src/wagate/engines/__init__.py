"""How we speak to a network: the port, and one folder for each engine."""
