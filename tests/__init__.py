"""A regular package, so that `import tests` finds this one: some distributions install a `tests`, too."""
