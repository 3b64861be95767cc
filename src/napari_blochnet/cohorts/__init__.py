"""A recipe done to the many stacks of a study: which they are, what is done to each, and the summary of all."""
