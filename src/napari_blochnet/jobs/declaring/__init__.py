"""How settings are declared, and those that several operations and experiments share."""
