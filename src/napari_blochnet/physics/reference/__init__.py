"""The readable physics: what the kernels are held against."""
