"""Image files, format by format: bytes <-> pixels and what is stored beside them. `multistyle.image` is the door."""
