"""The second half of the work as scripts did it before this program: written for the comparison of `cargo bench --bench table`.

A JSON file and a text for every line of a result file. extract.py RESULTS OUT
"""

import json
import os
import sys


def extract(results, out):
    """Writes the files of every line of `results` below `out`; 400 lines are a batch, whose JSON files have a folder."""
    text_dir = os.path.join(out, "texts")
    with open(results, "r", encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number % 400 == 0:
                json_dir = os.path.join(out, "json", f"batch_{number // 400:05}")
                os.makedirs(json_dir, exist_ok=True)
            answer = json.loads(line)
            name = answer["custom_id"]
            with open(os.path.join(json_dir, name + ".json"), "w", encoding="utf-8") as target:
                json.dump(answer, target, indent=4)
            content = answer["response"]["body"]["choices"][0]["message"]["content"]
            path = os.path.join(text_dir, name.replace("|", "/") + ".txt")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as target:
                target.write(content)


if __name__ == "__main__":
    extract(sys.argv[1], sys.argv[2])
