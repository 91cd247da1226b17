"""Networks and policy heads, hidden behind `Net(init, apply)`."""
