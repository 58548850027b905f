//! What the program says, and how it ends: the real binary, whole messages, one test a mistake.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::sandbox::{Sandbox, Weather, png};

const BINARY: &str = env!("CARGO_BIN_EXE_batchscribe");
const MADE_UP: &str = "The echo engine answers without reading: its texts are made up, for trying things out.\n";

/// A workspace with a folder `in` of tiny images.
pub(crate) struct Room(tempfile::TempDir);

impl Room {
    pub(crate) fn new(images: u32) -> Self {
        let room = Self(tempfile::tempdir().expect("temp dir"));
        std::fs::create_dir(room.at("in")).expect("folder");
        for n in 0..images {
            room.put(&format!("in/page{n}.png"), png(n));
        }
        room
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        // Links resolved, as the program shows it.
        self.0.path().canonicalize().expect("temp dir").join(name)
    }

    pub(crate) fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.at(name), bytes).expect("file");
    }

    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(BINARY);
        self.dress(&mut command);
        command.args(words.split_whitespace());
        command
    }

    /// The same surroundings everywhere: no key, no settings of the user, no terminal.
    fn dress(&self, command: &mut Command) {
        command.current_dir(self.0.path()).env_clear().env("LANG", "C.UTF-8").env("HOME", self.0.path());
        command.stdin(Stdio::null());
    }

    pub(crate) fn call(&self, words: &str) -> Told {
        self.told(self.command(words).output().expect("the program starts"))
    }

    /// `call` with the engine that needs no model.
    pub(crate) fn echo(&self, words: &str) -> Told {
        self.call(&format!("{words} --set provider.engine=echo"))
    }

    fn told(&self, output: Output) -> Told {
        let here = self.at("").to_string_lossy().trim_end_matches('/').to_owned();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").replace(&here, "HERE");
        Told { exit: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) exit: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    /// The whole of stderr, and the exit code.
    fn is(&self, exit: i32, err: &str) {
        assert_eq!((self.exit, self.err.as_str()), (Some(exit), err), "{self:?}");
    }
}

#[test]
fn folders_and_prompts_that_are_not_there() {
    let room = Room::new(1);
    room.echo("run nowhere").is(
        2,
        "error[E104]: cannot read the image folder HERE/nowhere: No such file or directory (os error 2)\n\
         hint: image_dir has to be a folder that you may read\n      named on the command line\n",
    );
    std::fs::create_dir(room.at("none")).expect("folder");
    room.put("none/scan.pdx", "x");
    let expected = "error[E106]: no images under HERE/none; 1 file with other endings (.pdx 1)\n\
                    hint: images are .jpg .jpeg .png .webp .gif .tif .tiff .bmp .jp2 .j2k .j2c .jpc .jpx .jpf .mpo .pbm .pgm .ppm .pnm\n      \
                    add endings to valid_image_types, or name another folder: batchscribe run DIR\n";
    room.echo("run none").is(2, &format!("{MADE_UP}{expected}"));
    room.echo("upload none --spool-only files").is(2, expected);
    assert!(!room.at("batch").exists() && !room.at("files").exists(), "nothing was begun");
    let without = "prompt_file = \"\" takes the built-in prompt\n";
    room.echo("run in --set prompt_file=p.txt").is(
        2,
        &format!(
            "error[E105]: prompt file HERE/p.txt is missing\n  No such file or directory (os error 2)\n\
             hint: batchscribe init  writes a prompt.txt to begin with; {without}"
        ),
    );
    room.put("prompt.txt", " \n");
    room.echo("run in").is(
        2,
        &format!(
            "error[E105]: prompt file HERE/prompt.txt is empty\n  there is no text in it\n\
             hint: write into it what is to be asked\n      {without}"
        ),
    );
}

#[test]
fn a_place_where_no_text_can_be_written_is_told_before_anything_is_sent() {
    let room = Room::new(1);
    room.put("taken", "a file where a folder should be");
    room.echo("run in --set text.out_dir=taken").is(
        1,
        &format!(
            "{MADE_UP}error[E405]: cannot write texts to HERE/taken: Not a directory (os error 20)\n\
             hint: text.out_dir names another folder for them; nothing was sent\n"
        ),
    );
    assert!(!room.at("batch").exists(), "nothing was begun");
    let told = room.echo("doctor --set text.out_dir=taken").out;
    let line =
        "✗ texts        cannot be written to HERE/taken (Not a directory (os error 20)); text.out_dir names another";
    assert!(told.contains(line), "{told}");
}

#[test]
fn what_was_to_be_written_elsewhere_is_told_without_the_place_of_texts() {
    let room = Room::new(1);
    room.put("taken", "a file where a folder should be");
    assert_eq!(room.echo("run in").exit, Some(0));
    for words in [
        "export jsonl --out nowhere/all.jsonl",
        "export txt-zip --out nowhere/all.zip",
        "report --out taken/below",
        "doctor --bundle nowhere/bug.zip",
        "init taken/below",
    ] {
        let told = room.echo(words);
        assert!(told.exit == Some(1) && told.err.contains("error[E405]: cannot write "), "{words}: {told:?}");
        assert!(told.err.contains("or name another place") && !told.err.contains("out_dir"), "{words}: {told:?}");
    }
}

#[test]
fn settings_that_are_wrong_are_told_all_at_once_with_their_place() {
    let room = Room::new(1);
    room.put("batchscribe.toml", "image_dir = \"in\"\n[request]\nmodel = gpt\n");
    room.call("run").is(
        2,
        "error[E101]: batchscribe.toml:3:9 is not TOML, at `model`: string values must be quoted, expected literal \
         string\nhint: a line is written  key = \"text\"  or  key = 12\n",
    );
    room.put("batchscribe.toml", "max_images_per_batch = 0\n[batch]\npol_interval = \"9s\"\npoll_interval = \"9m\"\n");
    room.call("status").is(
        2,
        "error[E101]: unknown setting `batch.pol_interval` in batchscribe.toml, line 3\n\
         hint: did you mean `batch.poll_interval`?\n\
         error[E102]: `max_images_per_batch` is 0; allowed: 1 to 50000\nhint: set in batchscribe.toml:1\n\
         error[E103]: `batch.poll_interval` = \"9m\" (batchscribe.toml:4) contradicts `batch.max_poll_interval` = \
         \"300s\" (default)\nhint: the first interval is the shortest; it grows to the longest\n",
    );
    room.call("status --config gone.toml").is(
        2,
        "error[E101]: cannot read the settings file gone.toml\n  No such file or directory (os error 2)\n\
         hint: batchscribe config path  shows which files are read\n",
    );
}

#[test]
fn texts_that_are_there_stop_a_run_that_was_told_so() {
    let room = Room::new(5);
    (0..4).for_each(|n| room.put(&format!("in/page{n}.png.txt"), "by hand\n"));
    let stop = "run in --existing stop";
    let hint = "hint: move them away; or go on with --existing ours, which replaces texts of ours that nobody has edited, or\n      \
                --existing keep, which replaces none; images with a text that is not ours are left out; nothing was sent\n";
    room.echo(stop).is(
        2,
        &format!(
            "{MADE_UP}error[E103]: `text.existing` = \"stop\" contradicts 4 texts that are there\n  page0.png\n  \
             page1.png\n  page2.png\n  …\n{hint}"
        ),
    );
    assert!(!room.at("batch").exists(), "nothing was begun");
    (0..4).for_each(|n| std::fs::remove_file(room.at(&format!("in/page{n}.png.txt"))).expect("a text"));
    assert_eq!(room.echo(stop).exit, Some(0));
    assert_eq!(room.echo(stop).exit, Some(0), "texts of finished images are in nobody's way");
    // One is to be asked again.
    assert_eq!(room.echo("retry --path page1.png").exit, Some(0));
    let again = room.echo(stop);
    assert!(
        again.exit == Some(2) && again.err.contains("contradicts 1 text that is there\n  page1.png\n"),
        "{again:?}"
    );
    for which in ["all", "stale"] {
        let redo = room.echo(&format!("{stop} --redo {which}"));
        let words = format!("`--redo {which}` contradicts `text.existing` = \"stop\"");
        assert!(redo.exit == Some(2) && redo.err.contains(&words), "{redo:?}");
    }
    std::fs::write(room.at("in/page1.png.txt"), "by hand\n").expect("a text");
    let keep = room.echo("run in --existing keep");
    assert_eq!(keep.exit, Some(0), "{keep:?}");
    assert_eq!(std::fs::read_to_string(room.at("in/page1.png.txt")).expect("a text"), "by hand\n");
}

#[test]
fn images_whose_texts_would_be_one_file_are_told_before_any_is_sent() {
    let room = Room::new(1);
    room.put("in/PAGE0.png", png(7));
    let words = "run in --set text.out_dir=texts --set provider.engine=echo";
    let mut command = room.command(words);
    command.env("BATCHSCRIBE_ALIKE", "case");
    room.told(command.output().expect("the program starts")).is(
        2,
        &format!(
            "warning: the variable BATCHSCRIBE_ALIKE is no setting and is ignored\n\
             {MADE_UP}error[E107]: 2 images would write to the same text file\n  \
             PAGE0.png and page0.png  ->  PAGE0.png.txt\n  the drive of text.out_dir ignores upper and lower case\n\
             hint: rename one of them, or name a folder on another drive: text.out_dir; nothing was sent\n      \
             full list: batchscribe plan --list collisions        more: batchscribe help E107\n"
        ),
    );
    assert!(!room.at("batch").exists() && !room.at("texts").exists(), "nothing was begun");
    assert_eq!(room.call(words).exit, Some(0), "this drive tells them apart");
    assert!(room.at("texts/PAGE0.png.txt").is_file() && room.at("texts/page0.png.txt").is_file());
}

#[test]
fn a_workspace_remembers_its_folder_and_commands_name_the_workspace() {
    let room = Room::new(2);
    let first = room.echo("run in --workspace desk --limit 1");
    assert_eq!(first.exit, Some(0), "{first:?}");
    let status = room.call("status --workspace desk");
    assert!(status.out.contains(" go on: batchscribe run --workspace desk\n"), "{status:?}");
    let plan = room.call("plan --workspace desk");
    assert!(plan.exit == Some(0) && plan.out.contains("batchscribe run --limit 20 --workspace desk"), "{plan:?}");
    let rest = room.echo("run --workspace desk");
    assert!(rest.exit == Some(0) && room.at("in/page1.png.txt").is_file(), "{rest:?}");
    let plan = room.echo("plan --workspace desk");
    assert!(plan.out.ends_with("Nothing to ask:  batchscribe status --workspace desk\n"), "{plan:?}");
    // One that is named is meant, whatever was read before.
    std::fs::create_dir(room.at("other")).expect("folder");
    room.put("other/page7.png", png(7));
    assert_eq!(room.echo("run other --workspace desk").exit, Some(0));
    assert!(room.at("other/page7.png.txt").is_file());
}

#[test]
fn a_workspace_that_was_copied_with_its_images_goes_on_with_its_own() {
    let room = Room::new(2);
    assert_eq!(room.echo("run --workspace in").exit, Some(0));
    assert!(Command::new("cp").args(["-r", "in", "copy"]).current_dir(room.at("")).status().expect("cp").success());
    room.put("in/page7.png", png(7));
    room.put("copy/page8.png", png(8));
    let told = room.echo("run --workspace copy");
    assert!(told.exit == Some(0) && room.at("copy/page8.png.txt").is_file(), "{told:?}");
    assert!(!room.at("in/page7.png.txt").exists(), "the original is nobody's affair");
}

#[test]
fn files_for_others_to_send_are_named() {
    let mut room = Room::new(3);
    room.put("batchscribe.toml", "max_images_per_batch = 2\n");
    let told = room.echo("upload in --spool-only files");
    assert_eq!(told.exit, Some(0), "{told:?}");
    for (file, images) in [("files/batchinput_1.jsonl", "2 images"), ("files/batchinput_2.jsonl", "1 image")] {
        let bytes = std::fs::metadata(room.at(file)).expect("a file").len();
        assert!(told.err.contains(&format!("wrote HERE/{file}, {images}, ")) && bytes > 0, "{told:?}");
    }
    room = Room::new(1);
    let told = room.echo("upload in --spool-only files --json");
    let spooled = told.out.lines().find(|line| line.contains(r#""type":"spooled""#)).expect("an event");
    let spooled: serde_json::Value = serde_json::from_str(spooled).expect("JSON");
    assert_eq!((&spooled["path"], &spooled["lines"]), (&"HERE/files/batchinput_1.jsonl".into(), &1.into()));
}

#[test]
fn keys_are_looked_for_and_guarded() {
    let room = Room::new(1);
    let call = |more: &str| room.call(&format!("run in --set provider.name=openai {more}"));
    call("").is(
        6,
        "error[E303]: no key found for api.openai.com\nhint: looked in api_key_command (not set), \
         $CREDENTIALS_DIRECTORY (not set), the variable OPENAI_API_KEY, the file HERE/api_key.txt\n      \
         or let the built-in engine read: --set provider.name=local\n",
    );
    let gone = "error[E303]: there is no key file HERE/gone.txt\nhint: batchscribe keys set  writes one there; or name \
                the right one: api_key_file\n      set in --set\n";
    call("--set api_key_file=gone.txt").is(6, gone);
    room.call("run in --set api_key_file=gone.txt").is(6, gone);
    std::fs::create_dir(room.at("folder")).expect("folder");
    call("--set api_key_file=folder").is(
        6,
        "error[E303]: cannot read the key file HERE/folder\n  Is a directory (os error 21)\n\
         hint: it has to be a file that you alone can read (chmod 600); api_key_file names another one\n",
    );
    room.put("key", "sk-1234567890");
    let chmod = |mode: &str| Command::new("chmod").arg(mode).arg(room.at("key")).status().expect("chmod");
    chmod("644");
    call("--set api_key_file=key")
        .is(2, "error[E304]: key file HERE/key can be read by others (mode 0644)\nhint: chmod 600 HERE/key\n");
    chmod("600");
    call("--set api_key_file=key").is(
        2,
        "gpt-5.6-luna at api.openai.com reads the pages, with the built-in prompt.\n\
         error[E109]: a question was asked, but this is no interactive terminal\n  \
         1 image, about $0.00039, worst case $0.0024, to api.openai.com. Go?\n\
         hint: add --yes if they may be sent, and --budget with what they may cost; nothing was sent\n",
    );
    assert!(!room.at("batch").exists(), "a call that could not begin leaves nothing behind");
}

#[test]
fn the_table_at_the_end_and_a_second_run() {
    let room = Room::new(3);
    room.put("in/empty.jpg", "");
    room.put("in/page1.png.txt", "typed by hand");
    room.put("in/notes.doc", "x");
    let first = room.echo("run in");
    let rows: Vec<&str> = first.err.lines().skip_while(|line| !line.starts_with(" Answered")).skip(2).collect();
    assert!(first.err.contains(" Answered  2 pages in ") && first.err.contains(" s a page\n Sent      1 batch, "));
    let expected = [
        " Done      2",
        " Failed    1: empty file",
        "           empty.jpg  empty file",
        " Skipped   1: text is there already",
        " Other     2 files that are no images: .doc 1, .txt 1 (texts of images among them)",
        "The texts lie beside their images, such as page0.png.txt",
        "found 4 = 2 done + 0 rough + 1 failed + 1 skipped + 0 owed + 0 in flight",
    ];
    assert_eq!((first.exit, rows), (Some(3), expected.to_vec()));
    room.echo("run in").is(
        3,
        &format!(
            "{MADE_UP}Nothing to do: 4 images, 2 done, 1 failed, 1 skipped\n Failed    1: empty file\n\
             {:11}empty.jpg  empty file\n Skipped   1: text is there already\n \
             Other     4 files that are no images: .txt 3, .doc 1 (texts of images among them)\n\
             found 4 = 2 done + 0 rough + 1 failed + 1 skipped + 0 owed + 0 in flight\n",
            ""
        ),
    );
}

#[test]
fn what_was_sent_is_fetched_without_naming_the_folder_again() {
    let room = Room::new(2);
    room.echo("download").is(0, "Nothing was begun in HERE yet: batchscribe run --limit 20\n");
    assert!(!room.at("batch").exists());
    assert_eq!(room.echo("upload in").exit, Some(0));
    assert_eq!(room.call("status --exit-code").exit, Some(4));
    let fetched = room.echo("download --wait");
    assert!(fetched.exit == Some(0) && room.at("in/page1.png.txt").exists(), "{fetched:?}");
    let status: serde_json::Value = serde_json::from_str(&room.call("status --json").out).expect("JSON");
    assert_eq!((&status["images"]["done"], &status["walking"]), (&2.into(), &false.into()));
    let one = room.call("status in/page1.png").out;
    assert!(one.starts_with("page1.png: done\n") && one.contains("\n asked 1 time\n"), "{one}");
    room.call("status in/page9.png").is(
        2,
        "error[E408]: the ledger knows neither an image nor a batch `in/page9.png`\n\
         hint: an image is named by its path, a batch by its id at the provider\n",
    );
}

#[test]
fn audit_ends_with_3_only_if_the_balance_does_not_close() {
    let room = Room::new(2);
    room.put("in/empty.jpg", "");
    assert_eq!(room.echo("run in").exit, Some(3), "an image failed");
    let clean = room.call("audit");
    assert_eq!((clean.exit, clean.err.as_str()), (Some(0), ""), "a failed image is accounted for");
    assert!(clean.out.ends_with("✓ the balance closes\n"), "{clean:?}");
    let raw = std::fs::read_dir(room.at("batch_return")).expect("raw").next().expect("a file").expect("entry").path();
    let text = std::fs::read_to_string(&raw).expect("raw file");
    let says = |exit: i32, what: &str| {
        let told = room.call("audit");
        assert!(told.exit == Some(exit) && told.out.contains(what), "{told:?}");
    };
    std::fs::write(&raw, text.replace("echo", "ecko")).expect("tamper");
    says(3, "✗ a result file has another content than what was saved (1)\n");
    std::fs::write(&raw, &text[..text.len() - 1]).expect("tamper");
    says(3, "✗ a result file has another length than what was saved (1)\n");
    std::fs::write(&raw, &text).expect("mend");
    says(0, "✓ the balance closes\n");
    std::fs::remove_file(room.at("in/page0.png.txt")).expect("text");
    says(3, "✗ a text is gone (1)\n    page0.png\n✗ the balance does not close\n");
}

#[test]
fn a_ledger_of_others_is_left_alone() {
    let room = Room::new(1);
    room.echo("run in");
    let path = room.at("batch/ledger.sqlite");
    rusqlite::Connection::open(&path).expect("ledger").pragma_update(None, "user_version", 99).expect("version");
    let before = std::fs::read(&path).expect("ledger");
    let newer = "error[E402]: the ledger HERE/batch/ledger.sqlite is of a newer version (99)\n\
                 hint: update batchscribe; nothing was changed\n";
    room.echo("run in").is(2, newer);
    for verb in ["status", "audit"] {
        room.call(verb).is(2, newer);
    }
    assert_eq!(std::fs::read(&path).expect("ledger"), before);
    room.put("batch/ledger.sqlite", "a file of somebody else, which is longer than nothing at all");
    room.call("status").is(
        2,
        "error[E403]: the ledger HERE/batch/ledger.sqlite is damaged: file is not a database\n\
         hint: batchscribe recover IMAGE_DIR  builds it again from what was saved; the damaged file is kept\n      \
         name folder, provider and key as for the runs before\n      \
         a file that is not ours has no place there: move it away, or set batch_dir\n",
    );
}

#[test]
fn a_lost_ledger_is_told_and_built_again() {
    let room = Room::new(3);
    assert_eq!(room.echo("run in").exit, Some(0));
    room.call("recover").is(
        0,
        "The ledger is whole: nothing is to be recovered.\n\
         found 3 = 3 done + 0 rough + 0 failed + 0 skipped + 0 owed + 0 in flight\n\
         Go on with: batchscribe run; batchscribe audit  tells whether the balance closes\n",
    );
    std::fs::remove_file(room.at("batch/ledger.sqlite")).expect("a ledger");
    room.put("in/page1.png.txt", "typed by hand\n");
    let gone = "error[E403]: the ledger HERE/batch/ledger.sqlite is damaged: it is gone, and batches.jsonl knows a batch\n\
                hint: batchscribe recover IMAGE_DIR  builds it again from what was saved; the damaged file is kept\n      \
         name folder, provider and key as for the runs before\n      \
                a file that is not ours has no place there: move it away, or set batch_dir\n";
    for verb in ["status", "audit", "download"] {
        room.call(verb).is(2, gone);
    }
    room.echo("run in").is(2, gone);
    room.call("recover in").is(
        0,
        "The ledger was gone.\n Brought back  1 shard, 3 images that wait for their answers\n \
         Batches       1 with answers on disk, 0 at the provider, 0 in doubt\n\
         found 3 = 0 done + 0 rough + 0 failed + 0 skipped + 0 owed + 3 in flight\n\
         Go on with: batchscribe run in\n",
    );
    assert_eq!(room.echo("run in").exit, Some(0));
    assert_eq!(room.call("audit").exit, Some(0));
    assert_eq!(std::fs::read_to_string(room.at("in/page1.png.txt")).expect("text"), "typed by hand\n");
    let told: serde_json::Value = serde_json::from_str(&room.call("recover in --json").out).expect("JSON");
    assert_eq!((&told["ledger"], &told["changed"]), (&"whole".into(), &false.into()));
    room.call("recover --run x").is(
        2,
        "error: the following required arguments were not provided:\n  --from-account\n\n\
         Usage: batchscribe recover --from-account --run <ID> [IMAGE_DIR]\n\nFor more information, try '--help'.\n",
    );
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_the_next_run_goes_on_without_repair() {
    let room = Room::new(2);
    for blocks in [8, 64, 300] {
        let mut limited = Command::new("sh");
        room.dress(&mut limited);
        let line =
            format!("ulimit -f {blocks}; exec \"$0\" run in --set provider.engine=echo --set run.give_up_after=1s");
        let told = room.told(limited.env("PATH", "/usr/bin:/bin").args(["-c", &line, BINARY]).output().expect("sh"));
        let known = ["error[E405]: cannot ", "error[E409]: disk full", "error[E310]: "];
        let said = told.exit == Some(0) || known.iter().any(|words| told.err.contains(words));
        assert!(said && told.exit.is_some(), "{blocks} blocks: {told:?}");
        assert_eq!(room.call("status").exit, Some(0), "{blocks} blocks");
    }
    let after = room.echo("run in");
    assert_eq!(after.exit, Some(0), "{after:?}");
    assert_eq!(room.call("audit").exit, Some(0));
}

/// A server of ours; stopped with the value.
struct Server(Child, String);

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn emulate(room: &Room, more: &str) -> Server {
    let mut child = room
        .command(&format!("emulate --listen 127.0.0.1:0 --engine echo --state server {more}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
    let url = line.trim().trim_start_matches("listening on ").to_owned();
    Server(child, url)
}

#[test]
fn a_port_in_use_and_a_rejected_key() {
    let room = Room::new(1);
    room.put(
        "scenario.toml",
        "[[door]]\nat = \"upload_file\"\nact = \"refuse\"\nstatus = 401\ncode = \"invalid_api_key\"\n",
    );
    let server = emulate(&room, "--scenario scenario.toml");
    let address = server.1.trim_start_matches("http://").trim_end_matches("/v1");
    room.call(&format!("emulate --engine echo --state other --listen {address}")).is(
        2,
        &format!(
            "error: another program listens on {address} already\n\
             hint: choose another one with --listen; port 0 takes a free port\n"
        ),
    );
    let line = format!("run in --yes --set provider.name=openai --set api_url={}/chat/completions", server.1);
    let told = room.told(room.command(&line).env("OPENAI_API_KEY", "sk-no").output().expect("run"));
    assert_eq!(told.exit, Some(6), "{told:?}");
    assert!(told.err.contains(&format!("error[E301]: the key was rejected by {address} (401)\n")), "{told:?}");
    assert!(told.err.contains("hint: it came from the variable OPENAI_API_KEY\n") && !told.err.contains("sk-no"));
}

#[test]
fn a_provider_that_is_not_there() {
    let room = Room::new(1);
    let url = "--set api_url=http://127.0.0.1:9/v1/chat/completions";
    room.call(&format!("run in --yes --set provider.name=openai --set run.give_up_after=1s {url}")).is(
        5,
        "gpt-5.6-luna at 127.0.0.1:9 reads the pages, with the built-in prompt.\n\
         found 1 = 0 done + 0 rough + 0 failed + 0 skipped + 0 owed + 1 in flight\n\
         error[E310]: 127.0.0.1:9 cannot be reached: Connection refused (os error 111)\n\
         hint: start the server there (api_url), then the same command goes on; nothing is lost\n",
    );
}

#[test]
fn a_second_process_is_told_who_works_here() {
    // The first process waits for this batch for as long as the test needs it to.
    let sandbox = Sandbox::with(2, Weather { line_delay: std::time::Duration::from_secs(3600), ..Weather::default() });
    let room = Room::new(2);
    let line = format!(
        "run in --yes --set provider.name=openai --set batch.poll_interval=50ms --set api_url={}/chat/completions",
        sandbox.base_url()
    );
    let mut first = room.command(&line).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("run");
    let mut words = BufReader::new(first.stderr.take().expect("stderr"));
    let mut seen = String::new();
    // The lock is held once a batch is told.
    while !seen.contains(" open, ") {
        assert!(words.read_line(&mut seen).expect("a line") > 0, "{seen}");
    }
    let second = room.call(&line);
    first.kill().expect("it is still there");
    first.wait().expect("it ends");
    assert_eq!(second.exit, Some(11), "{second:?}");
    let head = format!("error[E401]: another batchscribe works here (pid {} on ", first.id());
    assert!(second.err.contains(&head) && second.err.contains("\n  it is doing `run`\nhint: wait until"), "{second:?}");
}

#[test]
fn words_that_are_not_known() {
    let room = Room::new(0);
    for line in ["statsu", "run --bogus", "run --limit x", "emulate --listen here", "config", "--set foo run"] {
        assert_eq!(room.call(line).exit, Some(2), "{line}");
    }
    assert!(room.call("statsu").err.contains("tip: a similar subcommand exists: 'status'"));
    room.call("help E999")
        .is(2, "error: there is no verb and no error `E999`\nhint: batchscribe --help  lists the verbs\n");
    assert_eq!(room.call("").out.lines().count(), 12);
}

#[test]
fn a_closed_pipe_ends_a_query_quietly_and_a_full_one_loudly() {
    let room = Room::new(0);
    for words in ["", "config show", "help run", "completions bash"] {
        let (reader, writer) = std::io::pipe().expect("pipe");
        drop(reader);
        let output = room.command(words).stdout(writer).output().expect("the program starts");
        room.told(output).is(0, "");
    }
    if Path::new("/dev/full").exists() {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("device");
        let output = room.command("config show").stdout(full).output().expect("the program starts");
        room.told(output).is(
            1,
            "error[E405]: cannot write to the standard output: No space left on device (os error 28)\n\
             hint: what was done is safe; the same command again\n",
        );
    }
}

#[test]
fn nothing_is_coloured_off_a_terminal() {
    let room = Room::new(1);
    for more in ["", "--plain", "--json", "-v"] {
        let told = room.echo(&format!("run in {more}"));
        assert!(!told.err.contains('\u{1b}') && !told.out.contains('\u{1b}') && !told.err.contains('\r'), "{told:?}");
    }
    room.echo("run in --quiet").is(0, "");
    for line in room.echo("run in --json").out.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(event["schema"], 1);
    }
}

#[test]
fn settings_are_checked_and_their_schema_is_json() {
    let room = Room::new(0);
    assert_eq!(
        room.call("config check").out,
        "ok: 0 settings are set; where each comes from:  batchscribe config show --origin\n"
    );
    room.put("batchscribe.toml", "max_images_per_batch = 5\n");
    assert_eq!(
        room.call("config check").out,
        "ok: 1 setting is set; where each comes from:  batchscribe config show --origin\n"
    );
    room.put("batchscribe.toml", "max_images = 5\n");
    assert_eq!(room.call("config check").exit, Some(2));
    room.put("batchscribe.toml", "");
    let schema: serde_json::Value = serde_json::from_str(&room.call("config schema").out).expect("JSON");
    assert_eq!(schema["properties"]["max_images_per_batch"]["maximum"], 50_000);
}

#[test]
fn a_bundle_for_a_bug_report_tells_what_is_in_it_and_holds_no_page() {
    let room = Room::new(2);
    room.put("api_key.txt", "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789");
    assert_eq!(room.echo("run in --set provider.name=local").exit, Some(0));
    let told = room.call("doctor --bundle report.zip --set provider.name=local");
    assert!(told.err.starts_with("Wrote HERE/report.zip:\n  versions.txt  version and system\n"), "{told:?}");
    let mut archive = zip::ZipArchive::new(std::fs::File::open(room.at("report.zip")).expect("a file")).expect("a ZIP");
    let names: Vec<String> = archive.file_names().map(|name| name.expect("a name").into_owned()).collect();
    assert_eq!(names, ["versions.txt", "settings.txt", "doctor.txt", "ledger.json"]);
    let mut all = String::new();
    for at in 0..archive.len() {
        std::io::Read::read_to_string(&mut archive.by_index(at).expect("a part"), &mut all).expect("text");
    }
    assert!(all.contains("\"done\":2") && all.contains("encode.jpeg_quality = 85"), "{all}");
    let here = room.at("").to_string_lossy().trim_end_matches('/').to_owned();
    for private in ["page0", "abcdefghijklmnop", here.as_str()] {
        assert!(!all.contains(private), "{private}: {all}");
    }
    assert_eq!(room.call("doctor --bundle report.zip").exit, Some(1), "nothing is overwritten");
    let told = room.call("doctor --bundle other.zip --with-log");
    assert!(told.exit == Some(2) && told.err.contains("there is no log: show.log_file is empty"), "{told:?}");
}

#[test]
fn status_is_watched_until_it_is_over_and_a_reader_that_leaves_ends_it() {
    let room = Room::new(2);
    assert_eq!(room.echo("run in").exit, Some(0));
    let [once, watched] = ["status", "status --watch"].map(|line| room.call(line));
    assert_eq!((once.exit, &once.out), (watched.exit, &watched.out));
    assert_eq!(room.echo("run in --limit 1 --redo all --set text.out_dir=out").exit, Some(0));
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    let output = room.command("status --watch").stdout(writer).output().expect("the program starts");
    room.told(output).is(0, "");
}

#[test]
fn progress_goes_on_although_nobody_reads_it_and_a_dumb_terminal_gets_no_signs() {
    let room = Room::new(3);
    let mut child = room
        .command("run in --json --set provider.engine=echo")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("run");
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut first).expect("a line");
    assert!(first.contains("\"type\":\"start\""), "{first}");
    assert_eq!(child.wait().expect("a child").code(), Some(0), "like `| head -1`");
    assert!(room.call("status").out.contains("found 3 = 3 done"));
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let told = room.told(room.command("run nowhere").env(name, value).output().expect("run"));
        assert!(told.exit == Some(2) && !told.err.contains('\u{1b}'), "{told:?}");
    }
}

#[test]
fn a_status_line_tells_money_queue_and_when_it_is_over() {
    let room = Room::new(2);
    let told = room.echo("run in --json --budget 2");
    let status = told.out.lines().rfind(|line| line.contains("\"type\":\"status\"")).expect("a status");
    let event: serde_json::Value = serde_json::from_str(status).expect("JSON");
    assert_eq!(event["cost"]["limit"], 2.0);
    for field in ["queue", "oldest_batch_s", "eta_s", "eta_spread_s", "eta_basis", "problem"] {
        assert!(event.get(field).is_some(), "{field}: {event}");
    }
}
