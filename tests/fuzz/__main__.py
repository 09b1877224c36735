"""``python -m tests.fuzz``: let atheris attack a target, or replay what it found."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import sys
import tempfile
from pathlib import Path

#: What the fuzzer is to explore; anything else is only run.
_INSTRUMENTED = ["rtms_gevent.protocol", "rtms_gevent.webhook", "rtms_gevent.protocol.events"]
#: Bytes of one input.
_LONGEST = 4096


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=["frames", "decoder", "webhook"])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--corpus", type=Path, help="a folder to keep interesting inputs in")
    parser.add_argument("--findings", type=Path, default=Path(), help="where to write findings")
    parser.add_argument("--replay", type=Path, help="an input to run once, instead of fuzzing")
    options = parser.parse_args()
    if options.replay:
        from .targets import TARGETS

        TARGETS[options.target](options.replay.read_bytes())
    else:
        _fuzz(options)


def _fuzz(options: argparse.Namespace) -> None:
    import atheris

    logging.disable()  # thousands of refusals a second
    with atheris.instrument_imports(include=_INSTRUMENTED):
        targets = importlib.import_module(f"{__package__}.targets")
    with tempfile.TemporaryDirectory() as temporary:
        own = Path(temporary)
        (own / "seeds").mkdir()
        for number, seed in enumerate(targets.seeds(options.target)):
            (own / "seeds" / str(number)).write_bytes(seed)
        dictionary = own / "words"
        # The fuzzer's escapes are those of JSON, for words like these.
        quoted = [json.dumps(word) for word in targets.WORDS[options.target]]
        dictionary.write_text("\n".join(["# a comment, since it must not be empty", *quoted]))
        corpus = options.corpus or own / "corpus"
        options.findings.mkdir(parents=True, exist_ok=True)
        corpus.mkdir(parents=True, exist_ok=True)
        arguments = [
            sys.argv[0],
            str(corpus),
            str(own / "seeds"),
            f"-dict={dictionary}",
            f"-max_total_time={options.seconds}",
            f"-max_len={_LONGEST}",
            f"-artifact_prefix={options.findings.resolve()}/",
            "-timeout=5",
            "-print_final_stats=1",
        ]
        atheris.Setup(arguments, targets.TARGETS[options.target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
