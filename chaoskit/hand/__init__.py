"""By hand, before writing YAML: a stack up, faults on it one by one, what is bent and what was seen of it."""
