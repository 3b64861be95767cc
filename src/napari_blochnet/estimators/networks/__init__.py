"""Networks: architectures, inputs, model files and their store."""
