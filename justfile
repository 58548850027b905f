# Everyday commands. `just` lists them.

default:
    @just --list

# Format and lint, as CI does.
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings

# Every test.
test:
    cargo test --locked

# Many days of the program's life, each from a seed; every promise is checked at the end of each.
sim SEEDS="20000":
    SIM_SEEDS={{SEEDS}} cargo test --release --locked --test sim every_seed -- --nocapture

# Kills the release binary at its system calls, and lets them fail: `just every-syscall --most 300`. Needs strace and python3.
every-syscall *ARGS:
    cargo build --release --locked
    python3 tests/every_syscall.py {{ARGS}}

# The main job on the pages in the repo.
demo:
    cargo run --release --locked -- --workspace target/demo run tests/data/pages --yes

# Figures of this machine; `just bench --bench table` holds them against the targets.
bench *ARGS:
    cargo bench --locked {{ARGS}}

# Licences, advisories, bans.
deny:
    cargo deny check
