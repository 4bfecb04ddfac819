"""Every test, in the rooms of what it tests. A package by name: a dependency may bring a `tests` of its own."""
