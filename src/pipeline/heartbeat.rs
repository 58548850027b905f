//! A sign of life for whoever notices silence: an address that is asked after each successful look at open batches, on a thread of
//! its own. It never stops a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::mission::Mission;
use crate::kit::clock::Millis;
use crate::kit::exit_guard::ExitGuard;
use crate::kit::runtime::Runtime;
use crate::kit::thread;
use crate::provider::http::webhook;

/// Gives the sign; nothing is under way but one request.
pub(super) struct Heartbeat {
    url: Option<String>,
    limit: Duration,
    /// The look that was told last.
    told: Option<Millis>,
    under_way: Option<JoinHandle<()>>,
    /// Whether the last sign was heard.
    heard: Arc<AtomicBool>,
}

impl Heartbeat {
    pub(super) fn begun(mission: &Mission) -> Self {
        let notify = &mission.settings.notify;
        Self {
            url: notify.heartbeat.clone(),
            limit: notify.time_limit,
            told: None,
            under_way: None,
            heard: Arc::default(),
        }
    }

    /// Gives a sign for a look that none was given for. While the last one is under way it waits, and the newest look counts.
    pub(super) fn look(&mut self, last_look: Option<Millis>) {
        let is_due = !self.is_busy() && last_look.is_some() && last_look != self.told;
        let Some(url) = self.url.clone().filter(|_| is_due) else { return };
        self.told = last_look;
        let (limit, heard) = (self.limit, Arc::clone(&self.heard));
        heard.store(false, Ordering::Relaxed);
        let asking = thread::spawn("heartbeat", ExitGuard::unheard("heartbeat"), move |guard| {
            let asked = Runtime::new().map_err(|cause| cause.to_string());
            let asked = asked.and_then(|runtime| runtime.wait(webhook::get(&url, limit)));
            match &asked {
                Ok(()) => tracing::debug!("notify.heartbeat was asked"),
                Err(cause) => tracing::warn!(cause, "notify.heartbeat could not be asked"),
            }
            heard.store(asked.is_ok(), Ordering::Relaxed);
            guard.drained();
        });
        self.under_way = asking.ok();
    }

    /// Gives the sign for the last look, should it be lacking, and waits for it. A short command that looked once has then been heard.
    /// An address that is waited for here and does not take the sign is not asked once more, so that nobody waits for it twice; what
    /// it did with signs before costs nobody a wait, and may be over.
    pub(super) fn end(mut self, last_look: Option<Millis>) {
        if self.is_busy() && !self.wait() {
            return;
        }
        self.look(last_look);
        self.wait();
    }

    fn is_busy(&self) -> bool {
        self.under_way.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Waits for the sign that is under way; tells whether there was none, or it was heard.
    fn wait(&mut self) -> bool {
        let Some(thread) = self.under_way.take() else { return true };
        if thread.join().is_err() {
            tracing::error!("asking notify.heartbeat panicked");
        }
        self.heard.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    fn heartbeat(url: Option<String>) -> Heartbeat {
        Heartbeat { url, limit: Duration::from_secs(30), told: None, under_way: None, heard: Arc::default() }
    }

    #[test]
    fn one_sign_a_look_and_one_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("address");
        let url = format!("http://{}/ping/abc?up=1", listener.local_addr().expect("address"));
        let mut beat = heartbeat(Some(url));
        beat.look(None);
        assert!(beat.under_way.is_none(), "nothing was looked at yet");
        beat.look(Some(1));
        beat.look(Some(2));
        assert_eq!(beat.told, Some(1), "the first is still under way");
        let answer = || {
            let (mut stream, _) = listener.accept().expect("a request");
            let mut head = [0; 4096];
            let read = stream.read(&mut head).expect("a head");
            stream.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("answered");
            String::from_utf8_lossy(&head[..read]).into_owned()
        };
        let head = answer();
        assert!(head.starts_with("GET /ping/abc?up=1 HTTP/1.1\r\n") && !head.contains("authorization"), "{head}");
        beat.wait();
        beat.look(Some(1));
        assert!(beat.under_way.is_none(), "told already, and a refusal changes nothing");
        beat.look(Some(2));
        answer();
        beat.end(Some(2));
        listener.set_nonblocking(true).expect("no waiting");
        assert!(listener.accept().is_err(), "nobody came a third time");
    }

    #[test]
    fn a_sign_that_was_refused_long_ago_does_not_keep_the_last_one_back() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("address");
        let mut beat = heartbeat(Some(format!("http://{}/ping", listener.local_addr().expect("address"))));
        beat.look(Some(1));
        // Refused at once: the connection ends without an answer.
        drop(listener.accept().expect("a request"));
        while beat.is_busy() {
            std::thread::yield_now();
        }
        std::thread::scope(|scope| {
            scope.spawn(|| beat.end(Some(2)));
            let (mut stream, _) = listener.accept().expect("the sign of the last look");
            let mut head = [0; 4096];
            assert!(stream.read(&mut head).expect("a head") > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("answered");
        });
    }

    #[test]
    fn silence_costs_no_more_than_the_limit() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("address");
        let url = format!("http://{}/ping", listener.local_addr().expect("address"));
        let silent = url.clone();
        let beat = Heartbeat { limit: Duration::from_millis(100), ..heartbeat(Some(url)) };
        beat.end(Some(1));
        heartbeat(None).end(Some(1));
        // One that was silent for a look is not waited for once more.
        let mut beat = Heartbeat { limit: Duration::from_millis(100), ..heartbeat(Some(silent)) };
        beat.look(Some(1));
        beat.end(Some(2));
        listener.set_nonblocking(true).expect("no waiting");
        let came = std::iter::from_fn(|| listener.accept().ok()).count();
        assert_eq!(came, 2);
    }
}
