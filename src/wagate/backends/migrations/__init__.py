"""The schema's versions, oldest first. Forward only: there is no way back but a backup.

A version file writes its statements out and reads nothing from the database: its steps are printed as SQL, and run on
both databases inside one transaction. Adding a version: its file in `versions/`, its number here, its fixture in the
tests, and `make docs`, which prints what all of them say together (`whole_*.sql`: an empty database is filled from it);
the tests say what is missing.
"""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
"""Every version that was ever released."""
HEAD = REVISIONS[-1]
"""The version that this program needs."""
