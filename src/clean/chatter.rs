//! Words that are not the page's: what an assistant says around a transcription, and the order that it repeats.
//!
//! At an edge, and only where a whole set of signs agrees, they can be taken off. Anywhere else they make a text rough, because
//! letters begin with "Here is the letter you asked for:", too. Source of the phrases: answers of published runs.

use std::ops::Range;

use memchr::{memchr_iter, memrchr_iter};

use super::asked::{Asked, Words};

/// How a first line begins that introduces a transcription.
const OPENINGS: [&str; 34] = [
    "here is",
    "here's",
    "here are",
    "below is",
    "below you",
    "the following is",
    "this is the",
    "sure",
    "certainly",
    "of course",
    "okay",
    "ok,",
    "absolutely",
    "hier ist",
    "hier sind",
    "hier die",
    "hier der",
    "nachfolgend",
    "natürlich",
    "gerne",
    "voici",
    "bien sûr",
    "ci-dessous",
    "aquí está",
    "aquí tienes",
    "claro",
    "por supuesto",
    "ecco",
    "certo",
    "di seguito",
    "aqui está",
    "zde je",
    "hier is",
    "oto",
];
/// What it speaks of.
const TASK: [&str; 21] = [
    "transcri",
    "transkri",
    "trascri",
    "text",
    "ocr",
    "page",
    "image",
    "seite",
    "bild",
    "texto",
    "imagen",
    "página",
    "testo",
    "pagina",
    "immagine",
    "přepis",
    "stránk",
    "tekst",
    "afbeelding",
    "scan",
    "document",
];
/// How a last paragraph begins that takes leave.
const CLOSINGS: [&str; 20] = [
    "let me know if",
    "please let me know",
    "i hope this",
    "feel free to",
    "if you need",
    "if you would like",
    "if you'd like",
    "is there anything",
    "would you like me",
    "lassen sie mich wissen",
    "ich hoffe",
    "wenn sie möchten",
    "n'hésitez pas",
    "j'espère",
    "si vous souhaitez",
    "espero que",
    "si necesita",
    "spero che",
    "fammi sapere",
    "dejte mi vědět",
];
/// How a last paragraph begins that may be a remark of the machine, and may be one of the page.
const REMARKS: [&str; 8] =
    ["note:", "please note", "notes:", "hinweis:", "anmerkung:", "remarque", "nota:", "disclaimer"];
/// What only somebody says who has transcribed something.
pub(super) const TRANSCRIBED: [&str; 6] = ["transcri", "transkri", "trascri", "ocr", "přepis", "přepsal"];
/// What a machine says of itself, or of the picture before it.
const VOICES: [&str; 30] = [
    "as an ai",
    "i have transcribed",
    "i've transcribed",
    "i transcribed",
    "the image shows",
    "the image contains",
    "this image shows",
    "this image contains",
    "i cannot read",
    "i can't read",
    "i am unable to read",
    "i'm unable to read",
    "i couldn't read",
    "the text in the image",
    "the text in this image",
    "i can see that",
    "in this image",
    "als ki",
    "ich habe den text transkribiert",
    "das bild zeigt",
    "ich kann den text nicht",
    "l'image montre",
    "j'ai transcrit",
    "en tant qu'ia",
    "la imagen muestra",
    "he transcrito",
    "l'immagine mostra",
    "ho trascritto",
    "obrázek ukazuje",
    "de afbeelding toont",
];
/// Words in a row that no page shares with its prompt by chance.
pub(super) const ECHO: usize = 12;
/// Tags that surround text where a machine has marked it up.
const TAGS: [&str; 18] = [
    "html", "body", "p", "div", "span", "br", "b", "i", "em", "strong", "table", "tr", "td", "th", "ul", "li", "pre",
    "h1",
];

/// What stands at an edge of a text and is surely not the page's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The rule that found it.
    pub rule: &'static str,
    /// What is left without it, as a range of bytes.
    pub rest: Range<usize>,
}

/// The rule of introductions and farewells.
pub const CHATTER: &str = "chatter";
/// The rule of repeated orders.
pub const ECHOED: &str = "prompt_echo";

/// An introduction or a farewell at an edge of `text`.
#[must_use]
pub fn edge(text: &str) -> Option<Edge> {
    preamble(text).or_else(|| closing(text)).map(|rest| Edge { rule: CHATTER, rest })
}

/// The first line: it ends with a colon, begins with a stock phrase, speaks of the task, and a blank line or a fence follows.
fn preamble(text: &str) -> Option<Range<usize>> {
    let (first, rest) = text.split_once('\n')?;
    let apart = first.trim_end().ends_with(':') && (rest.starts_with('\n') || rest.starts_with("```"));
    let introduces = || begins_any(first, &OPENINGS) && speaks_of(first, &TASK);
    let something_follows = || !rest.trim().is_empty();
    (apart && introduces() && something_follows()).then(|| text.len() - rest.trim_start_matches('\n').len()..text.len())
}

/// The last paragraph: it begins with a stock phrase and speaks of the transcription.
fn closing(text: &str) -> Option<Range<usize>> {
    let (before, paragraph) = last_paragraph(text)?;
    let takes_leave = begins_any(paragraph, &CLOSINGS) && speaks_of(paragraph, &TRANSCRIBED);
    (takes_leave && !before.trim().is_empty()).then(|| 0..before.trim_end().len())
}

/// What stands before the last paragraph, and that paragraph, where there are several.
fn last_paragraph(text: &str) -> Option<(&str, &str)> {
    let whole = text.trim_end();
    let bytes = whole.as_bytes();
    let start = memrchr_iter(b'\n', bytes).find(|end| *end > 0 && bytes[end - 1] == b'\n')? + 1;
    Some(whole.split_at(start))
}

/// A stretch of the prompt at an edge, whole lines of the text alone.
#[must_use]
pub fn echoed_edge(text: &str, prompt: &str) -> Option<Edge> {
    let asked = Asked::of(prompt);
    if !asked.may_be_echoed_at_an_edge(text) {
        return None;
    }
    let echoes = |words: &Words| words.len() == ECHO && asked.has(words, 0..ECHO);
    let (first, last) = (Words::first(text, ECHO), Words::last(text, ECHO));
    if !echoes(&first) && !echoes(&last) {
        return None;
    }
    let said = Words::of(text);
    if said.len() <= ECHO {
        return None;
    }
    let rest = |rest: Range<usize>| Edge { rule: ECHOED, rest };
    if let Some(run) = longest_from_start(&said, &asked.words) {
        let end = said.place(run - 1..run).end;
        let behind = &text[end..];
        // Whole lines: what is left of the last one is not a word.
        let line_end = behind.find('\n').unwrap_or(behind.len());
        if !behind[..line_end].chars().any(char::is_alphanumeric) && run < said.len() {
            return Some(rest(end + line_end..text.len()));
        }
    }
    let run = longest_to_end(&said, &asked.words)?;
    let start = said.place(said.len() - run..said.len()).start;
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let alone = !text[line_start..start].chars().any(char::is_alphanumeric);
    (alone && run < said.len()).then(|| rest(0..line_start))
}

fn longest_from_start(said: &Words, asked: &Words) -> Option<usize> {
    let run = |from: usize| {
        (0..said.len().min(asked.len() - from)).take_while(move |n| said.word(*n) == asked.word(from + n))
    };
    (0..asked.len()).map(|from| run(from).count()).max().filter(|run| *run >= ECHO)
}

fn longest_to_end(said: &Words, asked: &Words) -> Option<usize> {
    let run = |to: usize| (1..=said.len().min(to)).take_while(move |n| said.word(said.len() - n) == asked.word(to - n));
    (1..=asked.len()).map(|to| run(to).count()).max().filter(|run| *run >= ECHO)
}

/// Why a text is rough: words of the machine that no rule takes off by itself. `prompt` is what was asked.
#[must_use]
pub fn rough(text: &str, prompt: &str) -> Vec<&'static str> {
    let mut why = Vec::new();
    let asked = Asked::of(prompt);
    let transcribes = asked.transcribes;
    let lines = Lines::of(text);
    if transcribes && lines.voices > 0 {
        why.push("model_voice");
    }
    if transcribes && remark(text).is_some() {
        why.push("remark");
    }
    if lines.fences >= 2 {
        why.push("fences");
    }
    if !asked.marks_up && (lines.are_marked_up() || html_spans(text).len() >= 2) {
        why.push("markup");
    }
    if asked.may_be_echoed(text) && !echo_spans(text, prompt).is_empty() {
        why.push("prompt_echo");
    }
    why
}

/// Where the words of the machine stand in a rough text, as ranges of bytes: what deep cleaning may take away.
#[must_use]
pub fn spans(text: &str, prompt: &str) -> Vec<Range<usize>> {
    let mut spans = html_spans(text);
    let mut at = 0;
    let mut open = false;
    for line in text.split_inclusive('\n') {
        let fence = line.trim_start().starts_with("```");
        // A sentence of the machine goes on until it ends.
        open = (open && !line.trim().is_empty()) || is_voice(line) || is_said(line);
        if open || fence {
            spans.push(at..at + line.len());
        }
        open &= !line.trim_end().ends_with(['.', ':', '!', '?', ')']);
        at += line.len();
    }
    spans.extend(remark(text));
    spans.extend(echo_spans(text, prompt));
    spans
}

/// A line of stock phrases that speaks of the task: an introduction or a farewell, wherever it stands.
fn is_said(line: &str) -> bool {
    let opens = begins_any(line, &OPENINGS) && line.trim_end().ends_with(':');
    let closes = begins_any(line, &CLOSINGS);
    (opens && speaks_of(line, &TASK)) || (closes && speaks_of(line, &TRANSCRIBED))
}

fn is_voice(line: &str) -> bool {
    begins_any(line, &VOICES)
}

/// A last paragraph that may be a remark of the machine.
fn remark(text: &str) -> Option<Range<usize>> {
    let (before, paragraph) = last_paragraph(text)?;
    let remarks = begins_any(paragraph, &REMARKS) && speaks_of(paragraph, &TRANSCRIBED);
    remarks.then(|| before.len()..before.len() + paragraph.len())
}

/// What the lines of a text are, as far as they may be the machine's.
#[derive(Default)]
struct Lines {
    voices: usize,
    fences: usize,
    headings: usize,
    bold: usize,
    /// The line under the head of a table.
    rules: usize,
}

impl Lines {
    fn of(text: &str) -> Self {
        let mut lines = Self::default();
        for line in text.lines() {
            lines.voices += usize::from(is_voice(line));
            let line = line.trim();
            match line.as_bytes().first() {
                Some(b'`') => lines.fences += usize::from(line.starts_with("```")),
                Some(b'#') => lines.headings += usize::from(is_heading(line)),
                Some(b'*') => lines.bold += usize::from(is_bold(line)),
                Some(b'|') => lines.rules += usize::from(is_rule(line)),
                _ => {}
            }
        }
        lines
    }

    fn are_marked_up(&self) -> bool {
        self.headings >= 2 || self.bold >= 2 || self.rules >= 1
    }
}

fn is_heading(line: &str) -> bool {
    let marks = line.len() - line.trim_start_matches('#').len();
    let named = line[marks..].strip_prefix(' ').is_some_and(|name| name.starts_with(char::is_alphabetic));
    (1..=6).contains(&marks) && named
}

fn is_bold(line: &str) -> bool {
    line.starts_with("**") && line.len() > 4 && line.ends_with("**")
}

fn is_rule(line: &str) -> bool {
    line.starts_with('|') && line.contains("---") && line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

fn html_spans(text: &str) -> Vec<Range<usize>> {
    let tag = |at: usize| {
        let inner = &text[at + 1..];
        let end = inner.find('>').filter(|end| *end <= 200)?;
        let name = inner[..end].trim_start_matches('/').split([' ', '/', '\n']).next()?.to_ascii_lowercase();
        TAGS.contains(&name.as_str()).then_some(at..at + end + 2)
    };
    memchr_iter(b'<', text.as_bytes()).filter_map(tag).collect()
}

/// Every stretch of [`ECHO`] words that stands in the prompt, too.
fn echo_spans(text: &str, prompt: &str) -> Vec<Range<usize>> {
    let (asked, said) = (Asked::of(prompt), Words::of(text));
    let stretches = (ECHO..=said.len()).map(|end| end - ECHO..end);
    stretches.filter(|stretch| asked.has(&said, stretch.clone())).map(|stretch| said.place(stretch)).collect()
}

/// Signs that mark text up, and stand before its first word.
const MARKS: [char; 9] = ['*', '_', '#', '>', '(', '[', ' ', '"', '\''];

/// Lower case, plain apostrophes, without the signs that mark text up; letter by letter, because most phrases differ early.
fn folded(text: &str) -> impl Iterator<Item = char> {
    let text = text.trim_start_matches(MARKS);
    text.chars().flat_map(char::to_lowercase).map(|c| if matches!(c, '\u{2019}' | '\u{2bc}' | '`') { '\'' } else { c })
}

/// Whether a text begins with one of these phrases, which end with a word.
fn begins_any(text: &str, phrases: &[&str]) -> bool {
    let Some(first) = folded(text).next() else { return false };
    let mut head = [0; 4];
    let head = first.encode_utf8(&mut head).as_bytes().first();
    let begins = |phrase: &str| {
        let mut said = folded(text);
        phrase.chars().all(|c| said.next() == Some(c))
            && (phrase.ends_with([',', ':']) || said.next().is_none_or(|c| !c.is_alphanumeric() && c != '\''))
    };
    // Most phrases differ in their first letter already.
    phrases.iter().any(|phrase| phrase.as_bytes().first() == head && begins(phrase))
}

pub(super) fn speaks_of(text: &str, what: &[&str]) -> bool {
    let text: String = folded(text).collect();
    what.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMPT: &str =
        "Transcribe all text on this page exactly as it is written, with every line break and every mistake.";

    fn rest(text: &str) -> Option<&str> {
        edge(text).map(|edge| &text[edge.rest])
    }

    #[test]
    fn introductions_and_farewells_are_known_by_all_their_signs() {
        let cases = [
            ("Here is the transcription of the page:\n\nDear Sir", Some("Dear Sir")),
            ("Sure! Here's the text from the image:\n\nDear Sir", Some("Dear Sir")),
            ("Hier ist die Transkription der Seite:\n\nLieber Herr", Some("Lieber Herr")),
            ("Voici la transcription de l\u{2019}image :\n\nMonsieur", Some("Monsieur")),
            ("Certainly, the text reads:\n```\nDear Sir\n```", Some("```\nDear Sir\n```")),
            ("Here is the letter you asked for:\n\nYours", None),
            ("Here is the text of the treaty:\nArticle 1", None),
            ("Here is the text", None),
            ("Surely the page was torn:\n\nDear", None),
            ("Dear Sir\n\nLet me know if you need the transcription in another form.", Some("Dear Sir")),
            ("Dear Sir\n\nI hope this finds you well.", None),
            ("Dear Sir\n\nLet me know if you come on Sunday.", None),
            ("Let me know if the transcription is right.", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(rest(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_repeated_order_is_taken_off_in_whole_lines() {
        let echoed = format!("{PROMPT}\n\nDear Sir, I have the honour to be your servant, and so on and on.");
        let edge = echoed_edge(&echoed, PROMPT).expect("echoed");
        assert_eq!(echoed[edge.rest].trim(), "Dear Sir, I have the honour to be your servant, and so on and on.");
        let behind = format!("Dear Sir, I have the honour to be your servant, and so on.\n{PROMPT}");
        let edge = echoed_edge(&behind, PROMPT).expect("echoed");
        assert_eq!(behind[edge.rest].trim(), "Dear Sir, I have the honour to be your servant, and so on.");
        let within = format!("Dear Sir, {PROMPT} I remain, Sir, ever your most obedient and humble servant.");
        assert_eq!(echoed_edge(&within, PROMPT), None);
        assert_eq!(rough(&within, PROMPT), ["prompt_echo"]);
        assert_eq!(echoed_edge("Transcribe all text on this page.", PROMPT), None, "short");
    }

    #[test]
    fn what_makes_a_text_rough() {
        let cases: [(&str, &[&str]); 11] = [
            ("Dear Sir\nThe image shows a second letter.\nYours", &["model_voice"]),
            ("Dear Sir\nI was told the image shows a saint.\nYours", &[]),
            ("Dear Sir\n\nNote: Some words were hard to read; I transcribed them as well as I could.", &["remark"]),
            ("Dear Sir\n\nNote: the roads are bad in March.", &[]),
            ("a\n```\nb\n```\nc", &["fences"]),
            ("<p>Dear Sir</p>", &["markup"]),
            ("a < b and c > d", &[]),
            ("# Heading\ntext\n## Second\ntext", &["markup"]),
            ("# 5 nails\n# 6 nails", &[]),
            ("** see below", &[]),
            ("| a | b |\n|---|---|\n| 1 | 2 |", &["markup"]),
        ];
        for (text, wanted) in cases {
            assert_eq!(rough(text, PROMPT), wanted, "{text:?}");
        }
        assert!(rough("# A\n# B", "Answer in Markdown: transcribe.").is_empty(), "it was asked for");
        assert!(rough("The image shows a saint.", "Describe the picture.").is_empty(), "it was asked for");
    }

    #[test]
    fn spans_cover_what_may_be_taken_away() {
        let text = "Dear Sir\nThe image shows a stamp\nand a seal.\nYours <b>truly</b>\n";
        let covered: Vec<&str> = spans(text, PROMPT).into_iter().map(|span| &text[span]).collect();
        assert_eq!(covered, ["<b>", "</b>", "The image shows a stamp\n", "and a seal.\n"]);
    }
}
