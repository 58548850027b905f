//! What each error means, for `batchscribe help E204`; works offline. A reason of the ledger is a topic, too.

use crate::settings::Problem;

/// One error.
struct Page {
    code: &'static str,
    /// The word in ledger and reports, for errors of one image.
    reason: &'static str,
    meaning: &'static str,
    advice: &'static str,
}

const fn page_of(code: &'static str, reason: &'static str, meaning: &'static str, advice: &'static str) -> Page {
    Page { code, reason, meaning, advice }
}

/// The errors of this version.
const PAGES: &[Page] = &[
    page_of(
        "E101",
        "",
        "A setting is not known, or its file cannot be read.",
        "Correct the name; `batchscribe config show` lists every setting.",
    ),
    page_of("E102", "", "A setting has a value outside its bounds.", "The message names the bounds and the place."),
    page_of(
        "E103",
        "",
        "Two settings contradict each other, or what is asked for contradicts this build, or a provider needs a setting that is \
        missing, or `text.existing` = \"stop\" contradicts texts that are there.",
        "The message names them and their places; change or set one, or build the program with the feature that it names. Texts that \
        are there are moved away, or --existing ours or keep says what becomes of them.",
    ),
    page_of("E104", "", "The image folder cannot be read.", "Check image_dir, and whether the drive is there."),
    page_of(
        "E105",
        "",
        "The prompt file is missing, empty, or no UTF-8 text.",
        "Where none is, `batchscribe init` writes one; save one that is there as UTF-8. prompt_file = \"\" takes the built-in prompt.",
    ),
    page_of(
        "E106",
        "",
        "There are no images in the folder.",
        "Name another folder, or add endings to valid_image_types.",
    ),
    page_of(
        "E107",
        "",
        "Images would write to the same text file, because their names differ in case or Unicode form alone and the drive does not \
        tell them apart.",
        "Nothing was sent. Rename one of them, or let text.out_dir name a folder on another drive; `batchscribe plan --list collisions` \
        lists all that some drive takes for one.",
    ),
    page_of(
        "E108",
        "",
        "Model, prompt or another part of the recipe changed after some images were done.",
        "Go on with --keep-old, which leaves their texts, or set it back; `batchscribe plan --list stale` lists them.",
    ),
    page_of(
        "E109",
        "",
        "A question had to be asked where nobody can answer.",
        "Add --yes if images may be sent, and --budget with what they may cost.",
    ),
    page_of(
        "E110",
        "",
        "There is a money limit, and no price is known for the model: the limit could not be kept.",
        "Name its price by a row in models.toml, or take another model, or drop the limit (run.max_cost = 0) and answer the question.",
    ),
    page_of(
        "E111",
        "",
        "The money limit does not even pay for one page that uses all the output tokens it may.",
        "Raise --budget, or lower request.max_output_tokens. Nothing was sent.",
    ),
    page_of(
        "E112",
        "",
        "The schema file cannot be used.",
        "It has to be a JSON Schema that refers to nothing outside itself. One that is sent has to be of type object; strict \
        schemas need every property in `required`.",
    ),
    page_of(
        "E113",
        "",
        "The workspace still has unfinished images of another folder.",
        "Finish them first, or take another --workspace for this folder.",
    ),
    page_of(
        "E114",
        "",
        "Pictures were to be fitted to what the model sees (encode.fit), and how the model counts images is unknown.",
        "They are sent as they are. models.toml can tell how it counts, or encode.longest_side shrinks them without that.",
    ),
    page_of("E201", "unreadable", "An image cannot be opened or read.", "Copy it again from its source."),
    page_of("E202", "empty_file", "An image has 0 bytes.", "Copy it again from its source."),
    page_of(
        "E203",
        "not_an_image",
        "A file with an image's ending is something else.",
        "Perhaps a saved error page; look at its first bytes.",
    ),
    page_of(
        "E204",
        "damaged",
        "An image's header cannot be true, or the file breaks off before its end.",
        "Export it again; the other images go on.",
    ),
    page_of(
        "E205",
        "too_large",
        "An image exceeds encode.max_pixels by its header, needs more memory than shard.max_memory to be made ready, does not fit into a \
        batch, or is a TIFF of more than 2,000 pages.",
        "Shrink it, or raise encode.max_pixels, shard.max_memory or shard.max_shard_bytes; split a TIFF of so many pages.",
    ),
    page_of(
        "E206",
        "unsupported_format",
        "An image has a format that is not sent, has several pages where encode.pages = \"refuse\", or would have to be converted where \
        encode.reencode = \"never\".",
        "Export it as JPEG or PNG; or set encode.pages = \"each\", or encode.reencode = \"when_needed\".",
    ),
    page_of(
        "E207",
        "changed",
        "An image changed again and again while it was read.",
        "Wait until nothing writes to it any more.",
    ),
    page_of(
        "E208",
        "over_allowance",
        "The tokens of one image exceed the provider's queue.",
        "Lower request.detail, or ask the provider for a higher limit.",
    ),
    page_of("E209", "image_refused", "The provider refused the image itself.", "Look at the file."),
    page_of(
        "E301",
        "",
        "The key was rejected.",
        "The message says where it came from; `batchscribe keys path` lists the places.",
    ),
    page_of("E302", "", "The key may not do this.", "Ask the project's owner to allow Files, Batches and the model."),
    page_of(
        "E303",
        "",
        "No key was found, or its source gave none.",
        "Set OPENAI_API_KEY or write api_key.txt, or use --set provider.name=local.",
    ),
    page_of("E304", "", "Others can read the key file.", "chmod 600 on it."),
    page_of("E305", "", "The provider wants money.", "Add credit, then the same command; nothing is asked twice."),
    page_of(
        "E306",
        "",
        "The money limit is reached. What a batch may cost at most is set aside before it is opened, and what it did not use comes \
        back with its answers: what is left does not pay for the worst case of the next page.",
        "The same command goes on with a higher --budget, or with a lower request.max_output_tokens: that lowers the worst case, also of pages that were planned and never sent.",
    ),
    page_of(
        "E307",
        "",
        "The model refuses a setting.",
        "Remove or change it: every page would be refused. If it refuses only to be asked directly, run.canary = \"batch\".",
    ),
    page_of(
        "E308",
        "",
        "The model is not available for Batch.",
        "Choose another model; some answer so for a while, then the same command works later.",
    ),
    page_of("E309", "", "The provider's queue is full.", "Nothing to do: the next batch goes when one ends."),
    page_of(
        "E310",
        "",
        "The provider cannot be reached.",
        "Nothing is lost; behind a proxy set HTTPS_PROXY, for an authority of your own SSL_CERT_FILE.",
    ),
    page_of(
        "E311",
        "",
        "The provider refused a batch file as too large.",
        "It is split and sent again; set shard.max_shard_bytes lower to avoid uploads that will be refused.",
    ),
    page_of(
        "E312",
        "provider_error",
        "A batch was refused because of single lines, or a line was refused for a reason of its own.",
        "Its words are in the saved results and in `status`; the other images are asked again.",
    ),
    page_of(
        "E313",
        "",
        "It is unknown whether a batch was created.",
        "It is looked up in the batch list; nothing is paid twice.",
    ),
    page_of(
        "E314",
        "results_gone",
        "Results are gone at the provider, or will be deleted there soon.",
        "Fetch with `batchscribe download` while they are there. Those that are gone may have been paid for; they are not asked \
        again by themselves.",
    ),
    page_of(
        "E315",
        "",
        "A result file is incomplete.",
        "It is fetched again; after ten times its whole lines are read, and the file is kept as *.incomplete.",
    ),
    page_of(
        "E316",
        "",
        "More answers than run.max_failures_percent allows were rejected for one and the same reason, so that something is wrong with \
         all of them: the prompt, a setting, or the model. Nothing more is sent; what is under way is read.",
        "Look at some: batchscribe status --list failed. Fix the cause, put them back with batchscribe retry, and give the same \
         command. If they are as they should be, raise run.max_failures_percent or set it to \"unset\".",
    ),
    page_of(
        "E317",
        "",
        "The provider could not be asked directly whether its model takes the settings.",
        "The first batch goes alone, the others follow once its answers are judged; run.canary = \"batch\" spares the question.",
    ),
    page_of(
        "E318",
        "",
        "Most result lines of a batch cannot be read, or name no image that it was asked about, as behind a gateway that gives each \
         line a custom_id of its own. They are paid for and kept in batch_return, but nobody can say which page they are of. Nothing \
         more is sent; what they may have answered counts as asked.",
        "See what stands in custom_id there, and let the gateway leave it as it is; then the same command goes on.",
    ),
    page_of("E401", "", "Another batchscribe works in this workspace.", "Wait, or look with `batchscribe status`."),
    page_of("E402", "", "The ledger was written by a newer version.", "Update batchscribe; nothing was changed."),
    page_of(
        "E403",
        "",
        "The ledger is damaged, or lacks batches that batches.jsonl knows.",
        "`batchscribe recover` builds it again from the saved answers, with --from-account also from the provider's list; the \
        damaged file is kept, and nothing is paid twice.",
    ),
    page_of(
        "E405",
        "",
        "A file cannot be written, or something cannot be started.",
        "The message names it; text.out_dir is for read-only folders.",
    ),
    page_of(
        "E406",
        "edited",
        "A text was edited by a person, and is kept.",
        "The new reading is in batch_json_results; `batchscribe status --list edited` lists such texts.",
    ),
    page_of(
        "E407",
        "",
        "The balance does not close: images have neither a result nor a reason.",
        "`batchscribe audit` lists them; `batchscribe recover` builds the ledger again from what is saved.",
    ),
    page_of(
        "E408",
        "missing_file",
        "An image is not where it was, or the ledger does not know it.",
        "If the folder moved, name the new image_dir.",
    ),
    page_of("E409", "", "The disk is full.", "Make room, then the same command."),
    page_of(
        "E410",
        "",
        "The open batches of this workspace belong to another account or project than the key: the provider does not show them to it. \
         The same is said of a batch of which it is unknown whether it exists, if nothing is shown that was there when it was asked for.",
        "Take the key that opened them, or another --workspace. Nothing is given up, and nothing is paid for twice.",
    ),
    page_of(
        "E411",
        "",
        "A part of the program died.",
        "What was done is safe; the same command goes on. Please report it.",
    ),
    page_of("E501", "refused", "The model refused the page.", "Read it yourself; asking again rarely helps."),
    page_of(
        "E502",
        "content_filter",
        "The provider's filter stopped the answer.",
        "Read it yourself; asking again rarely helps.",
    ),
    page_of("E503", "truncated", "The answer was cut at the token limit.", "Raise request.max_output_tokens."),
    page_of(
        "E504",
        "reasoning_ate_budget",
        "All output tokens were spent on reasoning.",
        "Lower request.reasoning_effort.",
    ),
    page_of("E505", "empty", "No text came for a page.", "Look at the page; perhaps it is blank."),
    page_of(
        "E506",
        "loop",
        "The text runs away in a repetition.",
        "Look at the page. The answer is kept raw; `retry` asks again, with another model if you name one.",
    ),
    page_of(
        "E507",
        "rough",
        "The text holds words of the assistant or of the prompt, and waits as `.txt.api`.",
        "`batchscribe clean --deep` sends such texts back to the model, as text alone; or clean them by hand, and name them `.txt`.",
    ),
    page_of("E508", "json_invalid", "The answer is not the JSON that was asked for.", "Use request.schema_file."),
    page_of(
        "E509",
        "schema_mismatch",
        "The answer is JSON, but does not fit the schema.",
        "Look at the schema and at the answer, which is kept raw.",
    ),
    page_of(
        "E510",
        "",
        "Result lines name no image of ours: another program may use the same account.",
        "Nothing has to be done; they are kept raw and ignored.",
    ),
    page_of(
        "E511",
        "missing",
        "The provider never ran the request.",
        "It is owed again by itself, and not counted, up to retry.max_returns.",
    ),
    page_of(
        "E512",
        "deep_rejected",
        "Deep cleaning lost or added words, so its text was not taken.",
        "The rough text is kept as `.txt.api`; clean it by hand, and name it `.txt`.",
    ),
    page_of(
        "E513",
        "attempts_used",
        "An image was asked as often as retry.max_attempts allows, and no answer could be taken.",
        "`batchscribe status FILE` tells why; `batchscribe retry --where code=E513 --model M` asks another model.",
    ),
    page_of(
        "E514",
        "program_error",
        "This program failed at an image or at its answer; the others went on.",
        "What was paid for is in batch_return. Please report it, with --log-file.",
    ),
];

/// Why an image ended without a text, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// The code, such as `E204`.
    pub code: &'static str,
    /// What happened.
    pub meaning: &'static str,
    /// What to do about it; commands stand between backticks.
    pub advice: &'static str,
}

/// The cause behind a reason of the ledger; some reasons of images that were never asked are no errors, and have none.
#[must_use]
pub fn cause(reason: &str) -> Option<Cause> {
    let page = PAGES.iter().find(|page| !page.reason.is_empty() && page.reason == reason)?;
    Some(Cause { code: page.code, meaning: page.meaning, advice: page.advice })
}

/// The page of a code (`E204`, upper or lower case) or reason.
#[must_use]
pub fn page(topic: &str) -> Option<String> {
    let code = topic.to_ascii_uppercase();
    let page = PAGES.iter().find(|page| page.code == code || (!page.reason.is_empty() && page.reason == topic))?;
    let name = if page.reason.is_empty() { page.code.to_owned() } else { format!("{} {}", page.code, page.reason) };
    Some(format!("{name}\n  {}\n  {}", page.meaning, page.advice))
}

/// A problem as it is told: where nobody who met it knew what to do, its page does.
#[must_use]
pub fn hinted(problem: &Problem) -> Problem {
    let advice = PAGES.iter().find(|page| page.code == problem.code).map(|page| page.advice);
    match advice.filter(|_| problem.hints.is_empty()) {
        Some(advice) => problem.clone().hint(advice),
        None => problem.clone(),
    }
}

/// The reason of the ledger behind a code of one image.
#[must_use]
pub fn reason_of(code: &str) -> Option<&'static str> {
    let code = code.to_ascii_uppercase();
    PAGES.iter().find(|page| page.code == code).map(|page| page.reason).filter(|reason| !reason.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::image::Reason;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(PAGES.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    #[test]
    fn a_code_and_its_reason_lead_to_one_page() {
        assert_eq!(page("e204"), page("damaged"));
        assert!(page("E999").is_none() && page("").is_none());
    }

    /// Every file of the program's source.
    fn sources(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in fs_err::read_dir(folder).expect("src") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(fs_err::read_to_string(path).expect("text"));
            }
        }
    }

    #[test]
    fn every_code_that_the_program_can_say_has_a_page() {
        let mut files = Vec::new();
        sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        let is_code = |word: &str| {
            let bytes = word.as_bytes();
            word.len() == 4 && (b'1'..=b'5').contains(&bytes[1]) && bytes[2..].iter().all(u8::is_ascii_digit)
        };
        let words = files.iter().flat_map(|file| file.split('"')).filter(|word| word.starts_with('E') && is_code(word));
        let codes: std::collections::BTreeSet<&str> = words.collect();
        assert!(codes.len() > 50, "{codes:?}");
        let without: Vec<_> = codes.iter().filter(|code| page(code).is_none()).collect();
        assert!(without.is_empty(), "{without:?}");
    }

    #[test]
    fn nobody_is_left_without_a_hint() {
        for page in PAGES {
            assert_eq!(hinted(&Problem::new(page.code, "it went wrong")).hints, [page.advice], "{}", page.code);
        }
        let own = Problem::new("E104", "it went wrong").hint("look there");
        assert_eq!(hinted(&own), own, "who met it knows better");
    }

    #[test]
    fn every_page_tells_what_happened_and_what_to_do() {
        for page in PAGES {
            for sentence in [page.meaning, page.advice] {
                let is_sentence = sentence.len() > 10 && (sentence.ends_with('.') || sentence.ends_with("it."));
                assert!(is_sentence, "{}: {sentence}", page.code);
            }
        }
    }

    #[test]
    fn every_reason_of_a_failure_has_a_page() {
        // What a contradiction about a blank page ends with is a text and a flag.
        let never_failures = [Reason::TextPresent, Reason::Excluded, Reason::BlankConflict];
        for reason in Reason::ALL.into_iter().filter(|reason| !never_failures.contains(reason)) {
            assert!(page(reason.word()).is_some(), "{}", reason.word());
        }
    }
}
