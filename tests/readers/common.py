"""What the readers' tests share: tracetoll itself, and how a difference is told."""

import subprocess
import sys

checks = 0


def equal(what, found, expected):
    """Ends the test where the two differ."""
    global checks
    checks += 1
    if found != expected:
        sys.exit(f"{what}: {found!r}, expected {expected!r}")


def holds(what, true):
    """Ends the test where this does not hold."""
    equal(what, bool(true), True)


def done(name):
    """Says that the test came to its end; one that looked at nothing has failed."""
    holds("something was checked", checks > 0)
    print(f"{name}: {checks} checks passed")


def run(program, *words):
    """Runs tracetoll to its success."""
    subprocess.run([program, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
