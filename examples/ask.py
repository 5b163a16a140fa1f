"""Ask the documents a question, with the OpenAI SDK as it comes:

    .venv/bin/python examples/ask.py "How long is the loan period?"

Reads the address and the key that `make run` wrote.
"""

import json
import sys
from pathlib import Path

from openai import OpenAI

QUESTION = "How long is the loan period?"
ACCESS = Path(__file__).parent.parent / ".weir" / "local.json"


def main(question: str) -> None:
    """Print the answer as it comes, then where it is from."""
    access = json.loads(ACCESS.read_text())
    client = OpenAI(base_url=access["base_url"], api_key=access["api_key"])
    store = next(store for store in client.vector_stores.list() if store.name == "examples")
    stream = client.chat.completions.create(
        model="smollm2-135m-instruct",
        messages=[{"role": "user", "content": question}],
        temperature=0,
        max_tokens=200,
        stream=True,
        extra_body={"weir": {"knowledge": {"vector_store_ids": [store.id], "max_results": 3}}},
    )
    for chunk in stream:
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
            # Citations come with the last chunk, in OpenAI's form; `weir` holds the quoted place.
            for annotation in getattr(choice.delta, "annotations", None) or []:
                print(f"\n  {annotation['filename']}: {annotation['weir']['quote']}", end="")
    print()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or QUESTION)
