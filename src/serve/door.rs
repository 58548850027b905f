//! Who is let in: a page of another site must not reach the server through a name of its own (DNS rebinding), and an address that
//! others reach asks for a token.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::kit::clock::Clock;
use crate::kit::throttle::{Secret, bearer};

/// Why a request is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum No {
    /// It asks for a name that is not ours.
    Host,
    /// It comes from a page of another site.
    Origin,
    /// It bears no token, or a wrong one.
    Token,
    /// Too many wrong tokens came from there: for so long none is listened to.
    Wait(Duration),
}

/// What decides about requests.
#[derive(Debug)]
pub struct Door {
    /// Names by which the server may be asked beside its addresses and `localhost`, in lower case.
    pub names: Vec<String>,
    /// What requests have to carry, if anything.
    pub token: Option<Arc<Secret>>,
    /// The time.
    pub clock: Clock,
}

/// What of a request decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked<'a> {
    /// Header `Host`.
    pub host: Option<&'a str>,
    /// Header `Origin`.
    pub origin: Option<&'a str>,
    /// Header `Authorization`.
    pub authorization: Option<&'a str>,
    /// Where it comes from.
    pub place: Option<IpAddr>,
}

impl Door {
    /// Whether a request asks for one of our names, from no page of another site.
    ///
    /// # Errors
    /// Why it does not.
    pub fn knows(&self, asked: &Asked<'_>) -> Result<(), No> {
        if !asked.host.is_some_and(|host| self.is_ours(host)) {
            return Err(No::Host);
        }
        // A browser names the page that a request comes from; other programs name none.
        let of_page = |origin: &str| origin.split_once("://").is_some_and(|(_, host)| self.is_ours(host));
        if !asked.origin.is_none_or(of_page) {
            return Err(No::Origin);
        }
        Ok(())
    }

    /// Whether a request is let in.
    ///
    /// # Errors
    /// Why not.
    pub fn lets_in(&self, asked: &Asked<'_>) -> Result<(), No> {
        self.knows(asked)?;
        let Some(token) = &self.token else { return Ok(()) };
        let told = bearer(asked.authorization).ok_or(No::Token)?;
        let place = asked.place.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        if token.is(told, place, self.clock.now()).map_err(No::Wait)? { Ok(()) } else { Err(No::Token) }
    }

    /// An address in digits is no name that somebody else could point at us; a name has to be known.
    fn is_ours(&self, host: &str) -> bool {
        let name = name_of(host).to_ascii_lowercase();
        let name = name.strip_suffix('.').unwrap_or(&name);
        name == "localhost" || name.parse::<IpAddr>().is_ok() || self.names.iter().any(|ours| ours == name)
    }
}

/// The name of `name:port`, or of `[address]:port`.
fn name_of(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => address,
            Some((address, port)) if port.strip_prefix(':').is_some_and(is_port) => address,
            _ => "",
        },
        None => match host.rsplit_once(':') {
            Some((name, port)) if is_port(port) => name,
            _ => host,
        },
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(names: &[&str], token: Option<&str>) -> Door {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let token = token.map(|token| Arc::new(Secret::new(token.to_owned())));
        Door { names, token, clock: Clock::manual(0) }
    }

    #[test]
    fn only_our_own_names_are_answered() {
        let door = door(&["scans.example.org"], None);
        for (host, expected) in [
            ("127.0.0.1:7040", Ok(())),
            ("127.0.0.1", Ok(())),
            ("[::1]:7040", Ok(())),
            ("localhost:9", Ok(())),
            ("LocalHost.", Ok(())),
            ("192.168.1.7:7040", Ok(())),
            ("scans.example.org", Ok(())),
            ("SCANS.example.org:443", Ok(())),
            ("evil.example", Err(No::Host)),
            ("127.0.0.1.evil.example:7040", Err(No::Host)),
            ("127.0.0.1:7040.evil.example", Err(No::Host)),
            ("[::1].evil.example", Err(No::Host)),
            ("[::1", Err(No::Host)),
            ("localhost.evil.example", Err(No::Host)),
            ("scans.example.org.evil.example", Err(No::Host)),
            ("", Err(No::Host)),
        ] {
            assert_eq!(door.lets_in(&Asked { host: Some(host), ..Asked::default() }), expected, "{host}");
        }
        assert_eq!(door.lets_in(&Asked::default()), Err(No::Host), "none at all");
    }

    #[test]
    fn pages_of_others_are_turned_away() {
        let door = door(&[], None);
        let from = |origin| door.lets_in(&Asked { host: Some("localhost"), origin: Some(origin), ..Asked::default() });
        assert_eq!(from("http://localhost:7040"), Ok(()));
        assert_eq!(from("http://127.0.0.1:7040"), Ok(()));
        assert_eq!(from("https://evil.example"), Err(No::Origin));
        assert_eq!(from("null"), Err(No::Origin));
    }

    #[test]
    fn a_token_is_asked_for_where_there_is_one() {
        let with = |authorization| {
            let asked = Asked { host: Some("10.0.0.7"), authorization, ..Asked::default() };
            door(&[], Some("s3cret")).lets_in(&asked)
        };
        assert_eq!(with(Some("Bearer s3cret")), Ok(()));
        for wrong in
            [None, Some("Bearer s3cre"), Some("Bearer s3crett"), Some("Bearer "), Some("s3cret"), Some("Basic s3cret")]
        {
            assert_eq!(with(wrong), Err(No::Token), "{wrong:?}");
        }
    }

    #[test]
    fn who_guesses_has_to_wait() {
        let door = door(&[], Some("s3cret"));
        let with = |told| door.lets_in(&Asked { host: Some("[::1]"), authorization: told, ..Asked::default() });
        for _ in 0..9 {
            assert_eq!(with(None), Err(No::Token), "who says nothing guesses nothing");
        }
        for _ in 0..5 {
            assert_eq!(with(Some("Bearer guess")), Err(No::Token));
        }
        assert_eq!(with(Some("Bearer s3cret")), Err(No::Wait(Duration::from_secs(60))));
        door.clock.advance(Duration::from_secs(60));
        assert_eq!(with(Some("Bearer s3cret")), Ok(()));
    }
}
