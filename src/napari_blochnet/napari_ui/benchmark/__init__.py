"""How smooth the window is, measured."""
