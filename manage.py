#!/usr/bin/env python
"""The operators' entry point: holds the embedded stores while a command runs that needs them."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "limitly_site.settings")
    from django.core.management import execute_from_command_line

    from limitly_site.holding import hold_embedded_stores

    with hold_embedded_stores():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
