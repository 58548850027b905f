"""Turns the YAML extract of OpenAI's OpenAPI document into openapi.json: the schemas that the tests name, closed over
$ref, one a line, without prose. Usage: openapi_to_json.py openai-batch.openapi.yaml > openapi.json"""

import json
import sys

import yaml

NAMED = [
    "Batch", "BatchRequestInput", "BatchRequestOutput", "CreateBatchRequest", "CreateChatCompletionRequest",
    "CreateChatCompletionResponse", "CreateResponse", "DeleteFileResponse", "ErrorResponse", "ListBatchesResponse", "ListFilesResponse",
    "OpenAIFile", "Response", "Upload", "UploadPart",
]
PROSE = {"description", "example", "title", "default", "deprecated", "discriminator"}


def plain(value, is_schema=True):
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    # The keys below `properties` are names of members, not keywords.
    keep = {key: inner for key, inner in value.items() if not is_schema or (key not in PROSE and not key.startswith("x-"))}
    return {key: plain(inner, not (is_schema and key == "properties")) for key, inner in keep.items()}


def references(value):
    if isinstance(value, list):
        return {name for item in value for name in references(item)}
    if not isinstance(value, dict):
        return set()
    here = {value["$ref"].rsplit("/", 1)[1]} if isinstance(value.get("$ref"), str) else set()
    return here | {name for inner in value.values() for name in references(inner)}


document = yaml.safe_load(open(sys.argv[1], encoding="utf-8"))
schemas, wanted, chosen = document["components"]["schemas"], set(NAMED), {}
while wanted:
    name = wanted.pop()
    chosen[name] = plain(schemas[name])
    wanted |= references(chosen[name]) - chosen.keys()
lines = [f"{json.dumps(name)}: {json.dumps(chosen[name], ensure_ascii=False)}" for name in sorted(chosen)]
print("{\n" + ",\n".join(lines) + "\n}")
