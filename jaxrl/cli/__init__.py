"""What people type: commands, options, plan, doctor, verify, export, and the Python entry points."""
