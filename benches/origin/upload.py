"""The first half of the work as scripts did it before this program: written for the comparison of `cargo bench --bench table`.

Each batch is built whole as a file on disk, every image read and encoded at once, and the file is uploaded with the
official client. upload.py IMAGES OUT BASE_URL
"""

import base64
import json
import os
import sys

from openai import OpenAI

BATCH = 400
MODEL = "made-up"
PROMPT = "Transcribe all text on this page exactly as it is written."
TYPES = (".png", ".jpg", ".jpeg")


def images(root):
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            if name.lower().endswith(TYPES):
                yield os.path.join(folder, name)


def request(root, path):
    with open(path, "rb") as file:
        data = base64.b64encode(file.read()).decode("utf-8")
    content = [
        {"type": "text", "text": PROMPT},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + data, "detail": "high"}},
    ]
    body = {"model": MODEL, "messages": [{"role": "user", "content": content}], "max_completion_tokens": 4000}
    name = os.path.relpath(path, root).replace("/", "|")
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def upload(root, out, client):
    """Uploads everything; gives the ids of the batches."""
    os.makedirs(out, exist_ok=True)
    paths = list(images(root))
    batches = []
    for number, start in enumerate(range(0, len(paths), BATCH)):
        target = os.path.join(out, f"batchinput_{number}.jsonl")
        with open(target, "w", encoding="utf-8") as file:
            for path in paths[start : start + BATCH]:
                file.write(json.dumps(request(root, path)) + "\n")
        with open(target, "rb") as file:
            uploaded = client.files.create(file=file, purpose="batch")
        batch = client.batches.create(
            input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        batches.append(batch.id)
        os.remove(target)
    return batches


if __name__ == "__main__":
    upload(sys.argv[1], sys.argv[2], OpenAI(api_key="none", base_url=sys.argv[3]))
