"""Set functions: protocol, functions, combinators, checks."""
