"""C sources of the kernels, and the library that they are compiled to."""
