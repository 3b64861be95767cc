"""What a record can be turned into: Python, commands, recipes; and running it again."""
