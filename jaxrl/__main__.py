"""`python -m jaxrl` is the command `jaxrl`."""

from jaxrl.run.cli import main

raise SystemExit(main())
