//! The one place that prints: data to stdout, everything else to stderr.

use std::io::{self, IsTerminal as _, Write as _};

use crate::kit::redact::without_sure_keys;
use crate::settings::{Environment, Problem};

use super::args::{Color, Global};
use super::exit::Fail;
use super::words;
use crate::ops::explain;

/// How the terminal is spoken to.
#[derive(Clone, Debug)]
pub(super) struct Out {
    unicode: bool,
    quiet: bool,
    /// Whether long verbs tell their progress as JSON lines on stdout.
    pub(super) json: bool,
    /// Whether a block may be redrawn on stderr.
    pub(super) live: bool,
    /// Whether a question can be asked.
    pub(super) can_ask: bool,
}

impl Out {
    pub(super) fn new(global: &Global, environment: &Environment) -> Self {
        let dumb = environment.get("TERM") == Some("dumb");
        let terminal = io::stderr().is_terminal();
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !dumb && environment.get("NO_COLOR").is_none(),
        };
        console::set_colors_enabled_stderr(color);
        Self {
            unicode: speaks_unicode(environment),
            quiet: global.quiet,
            json: global.json,
            // A block is drawn by escape sequences, and who wants no colours wants none of them.
            live: terminal && !dumb && color && !global.plain && !global.quiet && !global.json && global.verbose == 0,
            can_ask: terminal && io::stdin().is_terminal() && !global.no_input,
        }
    }

    /// For tests: says nothing, asks nothing, knows ASCII only.
    #[cfg(test)]
    pub(super) fn silent() -> Self {
        Self { unicode: false, quiet: true, json: false, live: false, can_ask: false }
    }

    /// Data: one line or page on stdout.
    ///
    /// # Errors
    /// [`Fail::ClosedPipe`] if the reader has gone away.
    pub(super) fn data(&self, text: &str) -> Result<(), Fail> {
        let told = |cause: io::Error| match cause.kind() {
            io::ErrorKind::BrokenPipe => Fail::ClosedPipe,
            _ => Problem::new("E405", format!("cannot write to the standard output: {cause}"))
                .hint("what was done is safe; the same command again")
                .into(),
        };
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", self.signs(text)).and_then(|()| stdout.flush()).map_err(told)
    }

    /// A path as it is, for programs: ended by a NUL byte, which no path has.
    ///
    /// # Errors
    /// [`Fail::ClosedPipe`] if the reader has gone away.
    pub(super) fn path(&self, path: &[u8]) -> Result<(), Fail> {
        let mut stdout = io::stdout().lock();
        Ok(stdout.write_all(path).and_then(|()| stdout.write_all(b"\0")).and_then(|()| stdout.flush())?)
    }

    /// Whether a screen on stdout may be drawn in the place of the last one, if stdout is a terminal.
    pub(super) fn redraws(&self) -> bool {
        self.live
    }

    /// Data as bytes, for what is no line of ours: the locale changes nothing in it.
    pub(super) fn bytes() -> io::BufWriter<io::StdoutLock<'static>> {
        io::BufWriter::new(io::stdout().lock())
    }

    /// A line on stderr, unless `--quiet`. Whatever comes from a path or a server in it is harmless there.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet {
            self.print(&words::harmless(text));
        }
    }

    /// The same line, for whoever has asked for it: with `--quiet` as well.
    pub(super) fn tell(&self, text: &str) {
        self.print(&words::harmless(text));
    }

    /// A line on stderr, with colours of ours.
    fn print(&self, text: &str) {
        // A closed stderr leaves nobody to tell.
        drop(writeln!(io::stderr().lock(), "{}", self.signs(text)));
    }

    /// A warning on stderr.
    pub(super) fn warn(&self, text: &str) {
        if !self.quiet {
            let head = console::style("warning").yellow().bold().for_stderr();
            self.print(&format!("{head}: {}", words::harmless(text)));
        }
    }

    /// A mistake on stderr: the form of the contracts, its first words coloured.
    pub(super) fn error(&self, problem: &Problem) {
        let text = words::harmless(&explain::hinted(problem).to_string());
        let (head, rest) = text.split_once(": ").unwrap_or((&text, ""));
        let head = console::style(head).red().bold().for_stderr();
        self.print(&format!("{head}: {rest}"));
    }

    /// A question on stderr, its answer from stdin; anything but yes is no.
    pub(super) fn confirmed(&self, question: &str) -> io::Result<bool> {
        let answer = self.typed(&format!("{question} [y/N]"))?;
        Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
    }

    /// A question on stderr, and what was typed.
    pub(super) fn typed(&self, question: &str) -> io::Result<String> {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{} ", self.signs(&words::harmless(question)))?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Without keys, should one have come into a message; our own signs in ASCII where the locale has no others; the user's words stay as they are.
    pub(super) fn signs(&self, text: &str) -> String {
        let text = without_sure_keys(text);
        if self.unicode {
            return text;
        }
        let plain = [
            ("·", "-"),
            ("█", "#"),
            ("░", "."),
            ("…", "..."),
            ("✓", "ok"),
            ("✗", "x"),
            ("–", "-"),
            ("±", "+-"),
            ("×", "x"),
            ("µ", "u"),
        ];
        plain.into_iter().fold(text, |text, (sign, ascii)| text.replace(sign, ascii))
    }
}

/// Help, version, or a mistake in the command line, which repeats what was typed.
pub(super) fn answer(answer: &clap::Error, color: Color) {
    let plain = answer.render().to_string();
    let harmless = words::harmless(&plain);
    let text = match color {
        // What was typed could change the terminal, and is in no way to be told from what colours it.
        _ if harmless != plain => harmless,
        Color::Never => plain,
        Color::Always => answer.render().ansi().to_string(),
        // A closed pipe leaves nobody to tell.
        Color::Auto => return drop(answer.print()),
    };
    drop(if answer.use_stderr() {
        write!(io::stderr().lock(), "{text}")
    } else {
        write!(io::stdout().lock(), "{text}")
    });
}

/// Whether the locale is a UTF-8 one; the first variable that is set decides, as in the C library.
fn speaks_unicode(environment: &Environment) -> bool {
    if cfg!(windows) || cfg!(target_os = "macos") {
        return true;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| environment.get(name)).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_about_signs() {
        let speaks = |pairs: [(&str, &str); 2]| speaks_unicode(&Environment::from(pairs));
        assert!(cfg!(not(target_os = "linux")) || speaks([("LANG", "de_DE.UTF-8"), ("X", "")]));
        assert!(cfg!(not(target_os = "linux")) || !speaks([("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        let out = Out::silent();
        assert_eq!(out.signs("1 done · 2 left …"), "1 done - 2 left ...");
        assert_eq!(out.signs("about 3 h ± 1 h, by × 0.50"), "about 3 h +- 1 h, by x 0.50");
    }
}
