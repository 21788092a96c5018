"""`make trace`: prints every trace of an order, or that of a request. TRACES_PORT says where the collector is, on this machine.

    python -m traces.show --order ID-OR-NUMBER
    python -m traces.show --request X-REQUEST-ID

Columns: the span, when it began (ms after the first of its trace), how long it took. Exit code 1 when there is nothing.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from urllib.parse import urlencode

from traces.tree import lines


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="trace", usage="make trace ORDER=id-or-number | REQUEST=X-Request-Id"
    )
    parser.add_argument("--order", default="")
    parser.add_argument("--request", default="")
    asked = {name: value for name, value in vars(parser.parse_args(arguments)).items() if value}
    if len(asked) != 1:
        print(
            "Name the order or the request: make trace ORDER=AB3DE-FGH7J, or REQUEST= the X-Request-Id of an answer.",
            file=sys.stderr,
        )
        return 2
    url = f"http://127.0.0.1:{os.environ['TRACES_PORT']}/api/traces?{urlencode(asked)}"
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            traces = json.load(answer)["results"]
    except (urllib.error.URLError, OSError) as error:
        print(f"The collector of traces does not answer ({error}): is the shop up?", file=sys.stderr)
        return 1
    (what, which), *_ = asked.items()
    if not traces:
        print(
            f"There is no trace of {what} {which}: it is not known, too old, or was not sampled (TRACE_RATIO in .env).",
            file=sys.stderr,
        )
        return 1
    for spans in traces:
        print("\n".join(lines(spans)), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
