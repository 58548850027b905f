//! Servers that close a kept connection without a word: a request on such a one is lost, and nothing may come of that but
//! another try. What pays never goes over a connection that was used before.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use batchscribe::pipeline::mission::Mode;

use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// A request: its first line, its place on its connection, whether it was answered.
#[derive(Clone, Debug)]
struct Heard {
    line: String,
    place: usize,
    answered: bool,
}

/// How the front treats a connection that it has answered on.
#[derive(Clone, Copy)]
enum Habit {
    /// Closes it after so long without a request.
    ClosesAfter(Duration),
    /// Takes the next request and closes without an answer, so often in all.
    LosesNext(usize),
}

#[derive(Clone)]
struct Front {
    target: String,
    habit: Habit,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Front {
    /// Stands before the emulator; tells its base URL and what it hears.
    fn before(emulator: &str, habit: Habit) -> (String, Arc<Mutex<Vec<Heard>>>) {
        let target = emulator.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        let front = Self { target, habit, heard: Arc::default() };
        let heard = Arc::clone(&front.heard);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), front) = (stream, front.clone()) else { return };
                std::thread::spawn(move || drop(front.keep(stream)));
            }
        });
        (base, heard)
    }

    /// One connection, kept as long as the habit allows.
    fn keep(&self, stream: TcpStream) -> std::io::Result<()> {
        let (mut writer, mut reader) = (stream.try_clone()?, BufReader::new(stream));
        for place in 0.. {
            let patience = match self.habit {
                Habit::ClosesAfter(pause) if place > 0 => pause,
                _ => Duration::from_secs(20),
            };
            reader.get_ref().set_read_timeout(Some(patience))?;
            let (head, body) = message(&mut reader)?;
            let line = head.lines().next().unwrap_or_default().to_owned();
            let answered = {
                let mut heard = self.heard.lock().expect("heard");
                let lost = heard.iter().filter(|one| !one.answered).count();
                let answered = !matches!(self.habit, Habit::LosesNext(most) if place > 0 && lost < most);
                heard.push(Heard { line, place, answered });
                answered
            };
            if !answered {
                return Ok(());
            }
            writer.write_all(&self.ask(&head, &body)?)?;
        }
        Ok(())
    }

    /// The emulator's answer, without its wish to close.
    fn ask(&self, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(&self.target)?;
        server.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
        server.write_all(body)?;
        let (head, body) = message(&mut BufReader::new(&server))?;
        let kept: Vec<&str> =
            head.split("\r\n").filter(|line| !line.to_lowercase().starts_with("connection:")).collect();
        Ok([kept.join("\r\n").as_bytes(), &body].concat())
    }
}

/// The head of a request or an answer, and its body of announced length.
fn message(reader: &mut impl BufRead) -> std::io::Result<(String, Vec<u8>)> {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let before = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let told = head[before..].split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        length = told.and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(length);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

/// A run of eight images through a front of this habit; tells what the front heard.
fn survives(habit: Habit) -> Vec<Heard> {
    let sandbox = Sandbox::with(8, Weather { line_delay: Duration::from_millis(50), ..Weather::default() });
    let (base, heard) = Front::before(&sandbox.base_url(), habit);
    let (mut mission, _stop) = sandbox.mission(Mode::Run { once: false });
    mission.base_url = base;
    let outcome = std::thread::spawn(move || batchscribe::pipeline::run(mission)).join().expect("it comes back");
    assert!(outcome.fault.is_none(), "{:?}", outcome.fault);
    oracle::finished(&sandbox.workspace(), &sandbox.bill(), 8);
    let heard = heard.lock().expect("heard").clone();
    let creates: Vec<&Heard> = heard.iter().filter(|one| one.line.starts_with("POST /v1/batches ")).collect();
    assert_eq!(creates.len(), 2, "each create was sent once: {heard:?}");
    assert!(creates.iter().all(|create| create.place == 0), "over a connection of its own: {creates:?}");
    assert!(heard.iter().any(|one| one.place > 0), "other connections are kept: {heard:?}");
    heard
}

#[test]
fn connections_that_close_between_two_polls_cost_nothing() {
    let heard = survives(Habit::ClosesAfter(Duration::from_millis(20)));
    let uploads = heard.iter().filter(|one| one.line.starts_with("POST /v1/files ")).count();
    assert_eq!(uploads, 2, "{heard:?}");
}

#[test]
fn a_request_that_is_lost_on_a_kept_connection_is_made_again() {
    let heard = survives(Habit::LosesNext(2));
    assert_eq!(heard.iter().filter(|one| !one.answered).count(), 2, "{heard:?}");
}
