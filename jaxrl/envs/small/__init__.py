"""Small problems for the study of learning rules, with optima in closed form."""
