"""Stands for `curl` where it is not installed: the few options that pages of the documents type, and no others."""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request

FAILED, NO_ANSWER = 22, 7


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("-s", action="store_true")
    parser.add_argument("-f", action="store_true")
    parser.add_argument("-o")
    parser.add_argument("-w", default="")
    parser.add_argument("-H", action="append", default=[])
    parser.add_argument("url")
    given = parser.parse_args()
    headers = dict(line.split(": ", 1) for line in given.H)
    try:
        with urllib.request.urlopen(urllib.request.Request(given.url, headers=headers), timeout=30) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        status = error.code
        error.close()
    except OSError:
        return NO_ANSWER
    sys.stdout.write(given.w.replace("%{http_code}", str(status)).replace("\\n", "\n"))
    return FAILED if given.f and status >= 400 else 0


if __name__ == "__main__":
    sys.exit(main())
