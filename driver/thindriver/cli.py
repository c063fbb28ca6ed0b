"""The command line: `thindriver init|status|shutdown|create|get|put|remove --root DIR --storage-opt k=v [--json]`."""

from __future__ import annotations

import json
import os
import sys

from .deviceset import DeviceSet
from .errors import DriverError, UsageError, cause
from .layers import Layers
from .options import Options
from .root import Root
from .status import status
from .teardown import shutdown

TYPE_CHECKING = False
if TYPE_CHECKING:
    pass

USAGE = """usage: thindriver COMMAND --root DIR [--storage-opt KEY=VALUE ...] [--json]

  init                 bring up the thin pool and the base device, from whatever an earlier run left
  status               show what is there
  shutdown             take everything down but the files
  create ID [PARENT]   make a layer: a snapshot of the base, or of PARENT
  get ID               activate and mount a layer, print where
  put ID               unmount and deactivate a layer
  remove ID            delete a layer

  --root DIR           what dockerd calls <data-root>/devicemapper
  --storage-opt K=V    a dm.* option of dockerd's devicemapper driver; may be repeated
  --json               answer in JSON

Exit status: 0 done, 1 it failed (one sentence on standard error), 2 wrong usage (nothing touched)."""
ARGUMENTS = {
    "init": (0, 0),
    "status": (0, 0),
    "shutdown": (0, 0),
    "create": (1, 2),
    "get": (1, 1),
    "put": (1, 1),
    "remove": (1, 1),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = sys.argv[1:] if argv is None else argv
    command = next((word for word in given if not word.startswith("-")), "thindriver")
    try:
        return _run(given)
    except DriverError as error:
        where, what, code = error.step or command, str(error), error.exit_code
        _debug()
    except OSError as error:
        where, what, code = command, cause(error), 1
        _debug()
    except KeyboardInterrupt:
        where, what, code = command, "interrupted", 1
    except Exception as error:
        where, what, code = command, f"internal error: {type(error).__name__}: {error}", 1
        _debug()
    print(f"thindriver: {where}: {' '.join(what.split())}", file=sys.stderr)
    return code


def _debug() -> None:
    if os.environ.get("THINDRIVER_DEBUG"):
        raise  # called from except clauses only


def _run(given: list[str]) -> int:
    command, ids, root, storage, as_json = _parse(given)
    if not command:
        print(USAGE)
        return 0
    devices = DeviceSet(Root(root), Options(storage))
    layers = Layers(devices)
    answer: dict[str, object] = {"root": devices.root.path}
    text = ""
    match command:
        case "init":
            devices.init()
            answer["pool"] = text = devices.pool_name
        case "status":
            answer = status(devices)
            text = "\n".join(f"{key}: {value}" for key, value in answer.items())
        case "shutdown":
            shutdown(devices)
        case "create":
            layers.create(*ids)
        case "get":
            answer["path"] = text = layers.get(*ids)
        case "put":
            layers.put(*ids)
        case "remove":
            layers.remove(*ids)
    if as_json or text:
        print(json.dumps(answer) if as_json else text)
    return 0


def _parse(given: list[str]) -> tuple[str, list[str], str, list[str], bool]:
    words: list[str] = []
    root, storage, as_json = "", [], False
    rest = iter(given)
    for word in rest:
        option, equals, value = word.partition("=")
        if word in ("-h", "--help"):
            return "", [], "", [], False
        if option in ("--root", "--storage-opt"):
            if not equals:
                value = next(rest, "")
            if not value:
                raise UsageError(f"the option '{option}' needs a value")
            if option == "--root":
                root = value
            else:
                storage.append(value)
        elif word == "--json":
            as_json = True
        elif word.startswith("-"):
            raise UsageError(f"unknown option '{word}': see 'thindriver --help'")
        else:
            words.append(word)
    if not words or words[0] not in ARGUMENTS:
        named = f"unknown command '{words[0]}'" if words else "no command given"
        raise UsageError(f"{named}: say one of {', '.join(ARGUMENTS)}")
    least, most = ARGUMENTS[words[0]]
    if not least <= len(words) - 1 <= most:
        raise UsageError(f"'{words[0]}' takes {'no' if not most else 'a layer'} ID: see 'thindriver --help'")
    if not root:
        raise UsageError("the option '--root' is needed")
    return words[0], words[1:], root, storage, as_json
