"""Load by wrk, each answer checked: status 200, and so many times a text that belongs into its body."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: Arguments: the file of paths, which are asked for in turn; the text; how often the body has to hold it.
SCRIPT = """
local paths, position, threads = {}, 0, {}
wrong, answers = 0, 0
function setup(thread) threads[#threads + 1] = thread end
function init(arguments)
  for line in io.lines(arguments[1]) do paths[#paths + 1] = wrk.format("GET", line) end
  text, times = arguments[2], tonumber(arguments[3])
end
function request()
  position = position % #paths + 1
  return paths[position]
end
function response(status, headers, body)
  local found, from = 0, 1
  while true do
    local first, last = body:find(text, from, true)
    if not first then break end
    found, from = found + 1, last + 1
  end
  answers = answers + 1
  if status ~= 200 or found ~= times then
    wrong = wrong + 1
    if wrong == 1 then print("wrong: " .. status .. " " .. body:sub(1, 300)) end
  end
end
function done()
  local all, bad = 0, 0
  for _, thread in ipairs(threads) do all, bad = all + thread:get("answers"), bad + thread:get("wrong") end
  print("checked " .. all .. ", wrong " .. bad)
end
"""

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


@dataclass(frozen=True)
class Load:
    """What wrk counted: answers, seconds it took, milliseconds within which half and 99 % of them came; what was wrong."""

    answers: int
    seconds: float
    p50: float
    p99: float
    wrong: str = ""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def run(
    base_url: str,
    paths: Sequence[str],
    text: str,
    times: int,
    *,
    seconds: int,
    connections: int,
    folder: Path,
) -> Load:
    """Ask for `paths` in turn on so many kept connections. `folder` is for files that wrk reads.

    Raises ValueError when wrk says something that is not understood, CalledProcessError when it ends with an error.
    """
    script, listed = folder / "check.lua", folder / "paths"
    script.write_text(SCRIPT)
    listed.write_text("".join(f"{path}\n" for path in paths))
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",
        "--latency",
        "-s",
        str(script),
        base_url,
    ]
    done = subprocess.run(
        [*command, "--", str(listed), text, str(times)], capture_output=True, text=True, check=True
    )
    return parse(done.stdout)


def parse(output: str) -> Load:
    """What wrk printed with `--latency`, and with SCRIPT; raises ValueError when figures are missing."""
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", output)
    shares = dict(re.findall(r"^\s+(\d+)%\s+([\d.]+(?:us|ms|s|m))\s*$", output, re.MULTILINE))
    if not total or not {"50", "99"} <= shares.keys():
        raise ValueError(f"wrk said something unexpected:\n{output}")
    problems = [
        line.strip() for line in output.splitlines() if re.match(r"wrong:|\s*(Non-2xx|Socket errors)", line)
    ]
    checked = re.search(r"^checked (\d+), wrong (\d+)$", output, re.MULTILINE)
    if checked and int(checked[2]):
        problems.append(f"{checked[2]} of {checked[1]} answers were not as they have to be")
    if not int(total[1]):
        problems.append("nothing was answered")
    return Load(
        int(total[1]),
        _milliseconds(total[2] + total[3]) / 1000,
        _milliseconds(shares["50"]),
        _milliseconds(shares["99"]),
        "; ".join(problems),
    )


def _milliseconds(text: str) -> float:
    value, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(value) * _UNITS[unit]
