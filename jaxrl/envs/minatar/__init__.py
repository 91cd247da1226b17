"""Four games on ten by ten cells, equal to those of MinAtar step by step (Young, Tian 2019, 1903.03176).

Two things differ from the package MinAtar: actions are never sticky (its default repeats the last action with
probability 0.1), and episodes are truncated after 1000 steps, which have no limit there; Freeway is
truncated after 2500, where MinAtar ends it at 2501.
"""
