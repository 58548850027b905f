#!/usr/bin/env python3
"""Proves that the official Python client works with the built-in server.

    pip install openai
    python tests/openai_client.py http://127.0.0.1:8080/v1

Every verb that the client has for batches, with plain asserts. The server may have any engine; with the echo engine the
texts are compared, too. Leaves ended batches and some of their result files behind.
"""

import base64
import io
import json
import struct
import sys
import time
import zlib

import openai


def png(shade: int) -> bytes:
    """A grey picture of 64 x 32 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + bytes([shade]) * 64 for _ in range(32))
    header = struct.pack(">IIBBBBB", 64, 32, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def messages(picture: bytes) -> list:
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    content = [{"type": "text", "text": "Transcribe."}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": content}]


def line(custom_id: str, picture: bytes, **more) -> bytes:
    body = {"model": "gpt-5.4-mini", "messages": messages(picture), "max_completion_tokens": 500, **more}
    request = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(request).encode() + b"\n"


def ended(client: openai.OpenAI, batch_id: str, seconds: float = 120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        batch = client.batches.retrieve(batch_id)
        if batch.status in ("completed", "failed", "expired", "cancelled"):
            return batch
        time.sleep(0.05)
    raise AssertionError(f"{batch_id} has not ended after {seconds} s")


def upload(client: openai.OpenAI, data: bytes, name: str = "probe.jsonl", **more):
    return client.files.create(file=(name, io.BytesIO(data)), purpose="batch", **more)


def create(client: openai.OpenAI, file_id: str, **more):
    return client.batches.create(
        input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h", **more
    )


def a_page_is_read_at_once(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="any", messages=messages(png(200)))
    assert answer.object == "chat.completion" and answer.choices[0].message.content, answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    again = client.chat.completions.create(
        model="any", messages=messages(png(200)), response_format={"type": "json_object"}
    )
    text = json.loads(again.choices[0].message.content)["text"]
    if answer.model == "batchscribe-echo":
        assert text == answer.choices[0].message.content
    assert [model.id for model in client.models.list()] == [answer.model]


def a_batch_is_run(client: openai.OpenAI) -> None:
    ids = [f"rolls|tray_1|page{number}.png" for number in range(5)]
    data = b"".join(line(name, png(number)) for number, name in enumerate(ids)) + line("bad", b"no picture")
    file = upload(client, data, expires_after={"anchor": "created_at", "seconds": 3600})
    assert (file.bytes, file.purpose, file.filename) == (len(data), "batch", "probe.jsonl")
    assert file.expires_at == file.created_at + 3600
    assert client.files.retrieve(file.id) == file
    assert file.id in [known.id for known in client.files.list(purpose="batch")]
    assert client.files.content(file.id).read() == data

    created = create(client, file.id, metadata={"run": "probe", "shard": "1"})
    assert created.object == "batch" and created.input_file_id == file.id
    assert client.batches.list(limit=1).data[0].id == created.id
    batch = ended(client, created.id)
    assert (batch.status, batch.metadata) == ("completed", {"run": "probe", "shard": "1"}), batch
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (6, 5, 1)
    output = [json.loads(text) for text in client.files.content(batch.output_file_id).text.splitlines()]
    assert sorted(answer["custom_id"] for answer in output) == ids
    assert all(answer["response"]["body"]["choices"][0]["message"]["content"] for answer in output)
    errors = [json.loads(text) for text in client.files.content(batch.error_file_id).text.splitlines()]
    assert errors[0]["response"]["body"]["error"]["code"] == "invalid_image_format", errors
    assert batch.usage.total_tokens > 0 and batch.usage.output_tokens_details.reasoning_tokens == 0

    try:
        client.batches.cancel(batch.id)
        raise AssertionError("a completed batch was cancelled")
    except openai.ConflictError as refusal:
        assert refusal.body["message"] == "Cannot cancel a batch with status 'completed'.", refusal.body
    for gone in (file.id, batch.output_file_id, batch.error_file_id):
        deleted = client.files.delete(gone)
        assert deleted.deleted and deleted.id == gone
    try:
        client.files.retrieve(file.id)
        raise AssertionError("a deleted file is still there")
    except openai.NotFoundError:
        pass


def a_batch_is_cancelled(client: openai.OpenAI) -> None:
    data = b"".join(line(f"page{number}", png(number % 250)) for number in range(3000))
    file = upload(client, data)
    batch = create(client, file.id)
    assert client.batches.cancel(batch.id).status in ("cancelling", "cancelled")
    batch = ended(client, batch.id)
    assert batch.status == "cancelled" and batch.cancelling_at and batch.cancelled_at
    found = []
    for result in filter(None, (batch.output_file_id, batch.error_file_id)):
        found += [json.loads(text)["custom_id"] for text in client.files.content(result).text.splitlines()]
    assert len(found) == len(set(found)) == batch.request_counts.total, (len(found), batch.request_counts)
    client.files.delete(file.id)


def a_faulty_file_fails_its_batch(client: openai.OpenAI) -> None:
    file = upload(client, line("same", png(1)) + line("same", png(2)) + b"{oops\n")
    batch = ended(client, create(client, file.id).id)
    assert batch.status == "failed" and batch.output_file_id is None
    assert [(error.line, error.code) for error in batch.errors.data] == [
        (2, "duplicate_custom_id"),
        (3, "invalid_json_line"),
    ]
    client.files.delete(file.id)


def refusals_have_their_types(client: openai.OpenAI) -> None:
    for call, kind in (
        (lambda: upload(client, b"{}", name="probe.txt"), openai.BadRequestError),
        (lambda: create(client, "file-nonexistent"), openai.BadRequestError),
        (lambda: create(client, "file-nonexistent", metadata={"k" * 65: "v"}), openai.BadRequestError),
        (lambda: client.batches.retrieve("batch_nonexistent"), openai.NotFoundError),
        (lambda: client.files.content("file-nonexistent"), openai.NotFoundError),
    ):
        try:
            call()
        except kind as refusal:
            assert refusal.body["message"] and refusal.body["type"] == "invalid_request_error", refusal.body
        else:
            raise AssertionError(f"nothing was refused with {kind.__name__}")


def lists_have_pages(client: openai.OpenAI) -> None:
    file = upload(client, line("one", png(1)))
    made = [create(client, file.id).id for _ in range(5)]
    listed = [batch.id for batch in client.batches.list(limit=2)]
    assert listed[:5] == made[::-1], (listed[:5], made)
    assert len(listed) == len(set(listed))
    for batch in made:
        ended(client, batch)
    client.files.delete(file.id)


def main() -> None:
    base_url = sys.argv[1]
    client = openai.OpenAI(base_url=base_url, api_key="any", max_retries=0)
    for proof in (
        a_page_is_read_at_once,
        a_batch_is_run,
        a_batch_is_cancelled,
        a_faulty_file_fails_its_batch,
        refusals_have_their_types,
        lists_have_pages,
    ):
        begun = time.monotonic()
        proof(client)
        print(f"ok  {proof.__name__}  {time.monotonic() - begun:.2f} s")
    print(f"openai {openai.__version__}: all proofs hold at {base_url}")


if __name__ == "__main__":
    main()
