"""Parts that experiments of several families share; no experiment itself."""
