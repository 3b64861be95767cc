"""Models against each other, or against the truth, without saying who is right: differences and their agreement."""
