"""Make the golden files, or check that they are what this makes.

python vectors/generate.py            write vectors/*.json anew
python vectors/generate.py --check    exit with 1 and say what differs, when anything does
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from vectors.making import documents, encodings, freshes, scenarios, states, times, upward, words
from vectors.making.parts import Vector

HERE = Path(__file__).resolve().parent

FILES: dict[str, tuple[str, Callable[[], list[Vector]]]] = {
    "imei": ("Texts that are an IMEI, and texts that are none.", words.imeis),
    "topics": ("Topic names, made and parsed.", words.topics),
    "codec": ("Messages field by field, and the one payload of each.", encodings.codec),
    "pae": ("The bytes that are signed, for a type and a payload.", encodings.pae),
    "keys": ("Keys from seeds, key ids, and signatures that verify or do not.", encodings.keys),
    "envelope": ("Worked examples: from seeds and fields to an envelope, each step.", encodings.envelopes),
    "roots": ("Roots as firmware pins them, and roots that follow another.", documents.roots),
    "delegations": ("Delegations under a root.", documents.delegations),
    "states": ("Messages on a phone's `desired` topic.", states.vectors),
    "fresh": ("Messages on a phone's `fresh` topic.", freshes.vectors),
    "hello": ("Messages on a phone's `hello` topic, as the bridge takes them.", upward.hellos),
    "reported": ("Messages on a phone's `reported` topic, as the bridge takes them.", upward.reports),
    "time": ("The phone's trusted time: at boot, and raised by what it accepts.", times.clocks),
    "effective": ("The level that a phone takes now, and the condition it reports.", times.levels),
    "agent": ("An agent over time: what happens to a phone, and what it does.", scenarios.vectors),
}


def content_of(name: str) -> str:
    """Return the text of one golden file."""
    about, vectors = FILES[name]
    return json.dumps({"about": about, "vectors": vectors()}, indent=1, ensure_ascii=True) + "\n"


def difference(name: str) -> str | None:
    """Return how the committed file differs from what is made now, or None."""
    path = HERE / f"{name}.json"
    if not path.exists():
        return f"{path.name}: missing"
    committed, made = path.read_text(encoding="ascii"), content_of(name)
    if committed == made:
        return None
    before, after = _by_name(committed), _by_name(made)
    gone, new = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    other = sorted(one for one in before.keys() & after.keys() if before[one] != after[one])
    return f"{path.name}: {len(gone)} gone {gone}, {len(new)} new {new}, {len(other)} changed {other}"


def _by_name(text: str) -> dict[str, Vector]:
    return {vector["name"]: vector for vector in json.loads(text)["vectors"]}


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the golden files of the Paylatch lock protocol.")
    parser.add_argument("--check", action="store_true", help="only compare, and exit with 1 when anything differs")
    if parser.parse_args().check:
        differences = [found for name in FILES if (found := difference(name))]
        sys.stdout.writelines(f"{found}\n" for found in differences)
        return 1 if differences else 0
    for name in FILES:
        (HERE / f"{name}.json").write_text(content_of(name), encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
