//! The road to the provider: TLS by what this computer trusts, and proxies. The real binary, because both are named in
//! the variables of a process.

use std::path::PathBuf;
use std::process::Command;

use batchscribe::emulator::scenario::Scenario;

use crate::front::{Authority, Certified, Front, Proxy, old_server};
use crate::kill::{command, live};
use crate::oracle;
use crate::sandbox::{Sandbox, Weather};

/// A year that is long over, and one that is not.
const OVER: i32 = 2021;
const AHEAD: i32 = 2199;
const PASSWORD: &str = "Canary-9fQ2-proxy";

/// Images before a server, and what the program said of it.
struct Road {
    sandbox: Sandbox,
    authority: Authority,
}

impl Road {
    fn new() -> Self {
        Self::in_weather("")
    }

    fn in_weather(scenario: &str) -> Self {
        let scenario = Scenario::read(scenario).expect("a scenario");
        let mut sandbox = Sandbox::with(3, Weather { scenario, ..Weather::default() });
        sandbox.set("run.give_up_after", "1s");
        Self { sandbox, authority: Authority::new("An authority of this test") }
    }

    fn front(&self, certified: &Certified<'_>) -> Front {
        Front::before(&self.sandbox.base_url(), &self.authority, certified)
    }

    /// Writes what is to be trusted.
    fn trusted(&self, pem: &str) -> PathBuf {
        let path = self.sandbox.workspace().join("trusted.pem");
        std::fs::write(&path, pem).expect("a file");
        path
    }

    /// `run` against `host`, with nothing in its environment but what this test puts there.
    fn command(&self, host: &str) -> Command {
        let mut command = command(&self.sandbox);
        command.arg("--set").arg(format!("api_url=https://{host}/v1/chat/completions"));
        command
            .env("SSL_CERT_FILE", self.trusted(&self.authority.pem()))
            .env("OPENAI_API_KEY", "sk-of-this-test-alone");
        command
    }

    fn arrives(&self, command: Command) {
        let status = live(command, None).expect("it ends");
        assert_eq!(status.code(), Some(0), "{}", self.words());
        oracle::finished(&self.sandbox.workspace(), &self.sandbox.bill(), 3);
    }

    /// It ends as unreachable, for a reason in these words, and nothing was created.
    fn ends_with(&self, command: Command, reasons: &[&str]) {
        let status = live(command, None).unwrap_or_else(|| panic!("it does not end: {}", self.words()));
        let words = self.words();
        assert_eq!(status.code(), Some(5), "{words}");
        let told = words.lines().find(|line| line.starts_with("error[E310]")).unwrap_or_default();
        for reason in reasons {
            assert!(told.contains(reason), "{reason:?} is missing in: {words}");
        }
        assert_eq!(oracle::count(&self.sandbox.bill(), "create"), 0, "{words}");
    }

    fn words(&self) -> String {
        std::fs::read_to_string(self.sandbox.words()).unwrap_or_default()
    }
}

#[test]
fn an_authority_is_trusted_where_ssl_cert_file_names_it() {
    let road = Road::new();
    let front = road.front(&Certified { name: "localhost", until: AHEAD });
    road.arrives(road.command(&format!("localhost:{}", front.port)));
    assert!(front.heard().iter().any(|line| line.starts_with("POST /v1/batches ")), "{:?}", front.heard());
}

#[test]
fn an_authority_that_nobody_trusts_is_refused_by_that_name() {
    let road = Road::new();
    let front = road.front(&Certified { name: "localhost", until: AHEAD });
    let mut command = road.command(&format!("localhost:{}", front.port));
    command.env("SSL_CERT_FILE", road.trusted(&Authority::new("Another authority").pem()));
    road.ends_with(command, &["certificate", "authority", "does not trust", "SSL_CERT_FILE"]);
    assert!(front.heard().is_empty(), "{:?}", front.heard());
}

#[test]
fn a_certificate_that_is_over_or_for_another_host_is_refused() {
    for (certified, reasons) in [
        (Certified { name: "localhost", until: OVER }, ["certificate", "expired"]),
        (Certified { name: "elsewhere.example", until: AHEAD }, ["certificate", "elsewhere.example"]),
    ] {
        let road = Road::new();
        let front = road.front(&certified);
        road.ends_with(road.command(&format!("localhost:{}", front.port)), &reasons);
        assert!(front.heard().is_empty(), "{:?}", front.heard());
    }
}

#[test]
fn tls_older_than_1_2_is_refused() {
    let road = Road::new();
    let (port, replies) = old_server();
    road.ends_with(road.command(&format!("localhost:{port}")), &["TLS"]);
    let replies = replies.lock().expect("replies");
    assert!(!replies.is_empty() && replies.iter().all(|first| *first == 21), "alerts and nothing else: {replies:?}");
}

#[test]
fn a_computer_that_trusts_nobody_says_so_and_still_speaks_to_itself() {
    let road = Road::new();
    let mut alone = road.command("batches.example");
    alone.env("SSL_CERT_FILE", road.trusted(""));
    let status = live(alone, None).expect("it ends");
    let words = road.words();
    assert_ne!(status.code(), Some(0), "{words}");
    assert!(words.contains("SSL_CERT_FILE") && words.contains("authorit"), "{words}");
    let mut here = command(&road.sandbox);
    here.env("SSL_CERT_FILE", road.trusted(""));
    road.arrives(here);
}

#[test]
fn a_proxy_is_asked_for_a_tunnel_with_its_own_password_and_never_sees_the_key() {
    let road = Road::new();
    let front = road.front(&Certified { name: "batches.example", until: AHEAD });
    let proxy = Proxy::to(front.port);
    let mut command = road.command("batches.example");
    command.env("HTTPS_PROXY", format!("http://clerk:{PASSWORD}@{}", proxy.address));
    road.arrives(command);
    let heard = proxy.heard();
    assert!(!heard.is_empty());
    for head in heard {
        assert!(head.starts_with("CONNECT batches.example:443 HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("\r\nproxy-authorization: basic "), "{head}");
        assert!(!head.contains("sk-of-this-test") && !head.to_lowercase().contains("\r\nauthorization:"), "{head}");
    }
    assert!(front.heard().iter().any(|line| line.starts_with("POST /v1/batches ")), "{:?}", front.heard());
}

#[test]
fn no_proxy_leads_around_the_proxy() {
    let road = Road::new();
    // An address of this machine that is not taken for its loopback.
    let front = road.front(&Certified { name: "0.0.0.0", until: AHEAD });
    let proxy = Proxy::refusing("403 Forbidden");
    let mut command = road.command(&format!("0.0.0.0:{}", front.port));
    command.env("HTTPS_PROXY", format!("http://{}", proxy.address)).env("NO_PROXY", "elsewhere.example,0.0.0.0");
    road.arrives(command);
    assert!(proxy.heard().is_empty(), "{:?}", proxy.heard());
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_password() {
    for (status, reason) in [("407 Proxy Authentication Required", "password"), ("403 Forbidden", "refused")] {
        let road = Road::new();
        let proxy = Proxy::refusing(status);
        let mut command = road.command("batches.example");
        command.env("HTTPS_PROXY", format!("http://clerk:{PASSWORD}@{}", proxy.address));
        road.ends_with(command, &["proxy", &proxy.address, reason]);
        assert!(!road.words().contains(PASSWORD), "{}", road.words());
        for head in proxy.heard() {
            assert!(head.starts_with("CONNECT "), "{head}");
        }
    }
}

#[test]
fn a_create_that_no_proxy_let_through_surely_created_nothing() {
    // The first create is refused for the key, so that the next run has nothing to do but to create.
    let scenario = "[[door]]\nat = \"create_batch\"\nact = \"refuse\"\nstatus = 401\nwhen = { times = 1 }\n";
    let road = Road::in_weather(scenario);
    let front = road.front(&Certified { name: "batches.example", until: AHEAD });
    let (open, shut) = (Proxy::to(front.port), Proxy::refusing("403 Forbidden"));
    let through = |proxy: &Proxy| {
        let mut command = road.command("batches.example");
        command.env("HTTPS_PROXY", format!("http://{}", proxy.address));
        command
    };
    assert_eq!(live(through(&open), None).expect("it ends").code(), Some(6), "{}", road.words());
    let sent = front.heard().len();
    assert_eq!(live(through(&shut), None).expect("it ends").code(), Some(5), "{}", road.words());
    assert!(!road.words().contains("E313"), "no doubt: {}", road.words());
    assert!(front.heard().len() == sent && !shut.heard().is_empty(), "it was tried, and nothing came through");
    road.arrives(through(&open));
    let creates = front.heard().iter().filter(|line| line.starts_with("POST /v1/batches ")).count();
    assert_eq!(creates, 2, "one for the key, one for the batch");
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let road = Road::new();
    let mut command = road.command("batches.example");
    // Port 1 of this machine: nobody listens there.
    command.env("HTTPS_PROXY", format!("http://clerk:{PASSWORD}@127.0.0.1:1"));
    road.ends_with(command, &["proxy", "127.0.0.1:1"]);
    assert!(!road.words().contains(PASSWORD), "{}", road.words());
}

#[test]
fn nothing_is_sent_in_the_clear_to_another_host() {
    let road = Road::new();
    let proxy = Proxy::refusing("403 Forbidden");
    let mut command = command(&road.sandbox);
    command.arg("--set").arg("api_url=http://batches.example/v1/chat/completions");
    command.env("HTTP_PROXY", format!("http://{}", proxy.address)).env("OPENAI_API_KEY", "sk-of-this-test-alone");
    let status = live(command, None).expect("it ends");
    assert_eq!(status.code(), Some(2), "{}", road.words());
    assert!(road.words().contains("https://"), "{}", road.words());
    assert!(proxy.heard().is_empty(), "{:?}", proxy.heard());
}
