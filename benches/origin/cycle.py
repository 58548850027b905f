"""Both halves of the work as scripts did it before this program: written for the comparison of `cargo bench --bench table`.

cycle.py IMAGES OUT BASE_URL
"""

import os
import sys
import time

from extract import extract
from openai import OpenAI
from upload import upload


def main(root, out, url):
    client = OpenAI(api_key="none", base_url=url)
    waiting = upload(root, out, client)
    while waiting:
        # The server answers at once: neither side is to wait for its own patience.
        time.sleep(0.05)
        for name in list(waiting):
            batch = client.batches.retrieve(name)
            if batch.status != "completed":
                continue
            target = os.path.join(out, name + ".jsonl")
            client.files.content(batch.output_file_id).write_to_file(target)
            extract(target, out)
            waiting.remove(name)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
