//! Who may come in: the browser that was given the token, at this address, from no other site.
//!
//! A page of any other site can make a browser send requests to this computer. What keeps it out: the session's cookie is sent from
//! no other site (`SameSite=Strict`), a name that leads here without being ours is no `Host` of ours (DNS rebinding), and whatever
//! changes something has to name our `Origin`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, HttpResponseBuilder};

use crate::kit::clock::Clock;
use crate::kit::hash::are_same_secrets;
use crate::kit::random;
use crate::kit::throttle::{Secret, bearer, retry_after};

/// Loads nothing but what the pages bring along, is framed by nobody, and sends its forms nowhere else.
const POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Pages that a link may lead to.
const ENTRANCES: [&str; 2] = ["/", "/review"];
/// Where a person types the token, and what that page loads.
pub(super) const LOGIN: &str = "/login";
const OF_LOGIN: [&str; 2] = [LOGIN, "/style.css"];

/// Pages that send a person to type the token.
const PAGES: [&str; 5] = ["/", "/review", "/failures", "/batches", "/cost"];

/// The rules of one server.
#[derive(Debug)]
pub(super) struct Gate {
    rules: Rules,
    link: Mutex<Link>,
    clock: Clock,
}

/// The token of the link that was printed last.
#[derive(Debug)]
struct Link {
    token: String,
    /// Whether it has let somebody in.
    used: bool,
}

/// What is compared with a request.
#[derive(Clone, Debug)]
struct Rules {
    /// Values of `Host` that are ours; `None` where a door before this gate has looked at it.
    hosts: Option<Vec<String>>,
    /// Name of the cookie: browsers tell cookies of two ports not apart.
    cookie: String,
    session: String,
    /// The secret that lets in again and again, by the form or as a bearer's; without it a link does, once.
    token: Option<Arc<Secret>>,
    /// What helps whoever comes with a link that was used, and with none.
    advice: &'static str,
    way_in: &'static str,
    read_only: bool,
}

/// What a request says of where it comes from.
#[derive(Clone, Copy, Debug, Default)]
struct Asked<'a> {
    path: &'a str,
    query: &'a str,
    host: Option<&'a str>,
    origin: Option<&'a str>,
    cookies: Option<&'a str>,
    authorization: Option<&'a str>,
    /// Where it comes from.
    place: Option<IpAddr>,
    /// Whether it only looks: GET or HEAD.
    looks: bool,
    /// Whether nothing of the page is wanted: HEAD, as programs ask that preview links.
    peeks: bool,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Passage {
    /// It may go on.
    Open,
    /// It brings a link: if its token is the right one, it gets the cookie, and is sent to this page.
    Link(&'static str),
    /// A person has to type the token first.
    Login,
    /// Too many wrong tokens came from there: for so long none is listened to.
    Wait(Duration),
    /// It may not, and why.
    Closed(StatusCode, &'static str),
}

impl Gate {
    /// The gate of a server of its own at `address`, which one link leads to.
    ///
    /// # Errors
    /// The operating system's, if it has no randomness to give.
    pub(super) fn at(address: SocketAddr, read_only: bool, clock: Clock) -> io::Result<Self> {
        let port = address.port();
        let rules = Rules {
            hosts: Some(vec![address.to_string(), format!("localhost:{port}")]),
            cookie: format!("batchscribe_{port}"),
            session: random::secret()?,
            token: None,
            advice: "This link was used already; it works once. Start batchscribe again for a new one.",
            way_in: "Open the link that batchscribe has printed.",
            read_only,
        };
        Self::with(rules, clock)
    }

    /// The gate before the pages of a server whose door knows its names. `token` lets in; without one, links do.
    ///
    /// # Errors
    /// The operating system's, if it has no randomness to give.
    pub(super) fn behind_a_door(token: Option<Arc<Secret>>, read_only: bool, clock: Clock) -> io::Result<Self> {
        let rules = Rules {
            hosts: None,
            cookie: format!("batchscribe_{}", random::letters(8)?),
            session: random::secret()?,
            token,
            advice: "This link was used already; it works once. SIGUSR1 lets the server print a new one.",
            way_in: "Open the link that batchscribe has printed. SIGUSR1 lets the server print it again, with --quiet as well.",
            read_only,
        };
        Self::with(rules, clock)
    }

    fn with(rules: Rules, clock: Clock) -> io::Result<Self> {
        let link = Mutex::new(Link { token: random::secret()?, used: false });
        Ok(Self { rules, link, clock })
    }

    /// What is appended to the address of a page so that its first visitor is let in; it works once. A new one where the last one was
    /// used; `None` where the token is the way in.
    ///
    /// # Errors
    /// The operating system's, if it has no randomness to give.
    pub(super) fn invitation(&self) -> io::Result<Option<String>> {
        if self.rules.token.is_some() {
            return Ok(None);
        }
        let mut link = self.link();
        if link.used {
            *link = Link { token: random::secret()?, used: false };
        }
        Ok(Some(format!("?token={}", link.token)))
    }

    /// The cookie for whoever knows the token, if `told` from `place` is that.
    ///
    /// # Errors
    /// How long nothing from there is listened to.
    pub(super) fn enter(&self, place: IpAddr, told: &str) -> Result<Option<String>, Duration> {
        let Some(token) = &self.rules.token else { return Ok(None) };
        let is_right = token.is(told, place, self.clock.now())?;
        Ok(is_right.then(|| self.rules.set_cookie()))
    }

    fn passage(&self, asked: &Asked<'_>) -> Passage {
        let bears = match self.bears(asked) {
            Ok(bears) => bears,
            Err(pause) => return Passage::Wait(pause),
        };
        let passage = passage(&self.rules, asked, bears);
        if !matches!(passage, Passage::Link(_)) {
            return passage;
        }
        let mut link = self.link();
        let is_right = token(asked.query).is_some_and(|told| are_same_secrets(told, &link.token));
        match (is_right, link.used) {
            (false, _) => Passage::Closed(StatusCode::FORBIDDEN, "This link is not one of this server."),
            (true, true) => Passage::Closed(StatusCode::FORBIDDEN, self.rules.advice),
            (true, false) => {
                link.used = true;
                passage
            }
        }
    }

    /// Whether a request bears the token itself, as programs do; no page of another site can make a browser do so. A token that is
    /// borne could be guessed as well as one that is typed. Who has a session has no need to: a proxy may put a token of its own
    /// before each request.
    fn bears(&self, asked: &Asked<'_>) -> Result<bool, Duration> {
        let told = bearer(asked.authorization).filter(|_| !self.rules.knows(asked));
        let Some((told, token)) = told.zip(self.rules.token.as_ref()) else { return Ok(false) };
        token.is(told, asked.place.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), self.clock.now())
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        // Whoever panicked while he held it has left a whole link.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rules {
    fn set_cookie(&self) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, self.session)
    }

    /// Whether a request has the session.
    fn knows(&self, asked: &Asked<'_>) -> bool {
        let told = cookie(asked.cookies.unwrap_or_default(), &self.cookie);
        told.is_some_and(|it| are_same_secrets(it, &self.session))
    }

    /// Whether an origin is the page that the request goes to. Where a door stands before us, a proxy with TLS may stand before it.
    fn is_ours(&self, origin: &str, host: Option<&str>) -> bool {
        let secure = origin.strip_prefix("https://").filter(|_| self.hosts.is_none());
        let named = origin.strip_prefix("http://").or(secure);
        named.is_some() && named == host
    }
}

/// What becomes of a request by the rules, of one that bears the token or does not; whether a link is the right one and was not used is another question.
fn passage(rules: &Rules, asked: &Asked<'_>, bears: bool) -> Passage {
    let knows = |ours: &Vec<String>, host: &str| ours.iter().any(|ours| ours.eq_ignore_ascii_case(host));
    if !rules.hosts.as_ref().is_none_or(|hosts| asked.host.is_some_and(|host| knows(hosts, host))) {
        return Passage::Closed(StatusCode::MISDIRECTED_REQUEST, "This server does not go by that name.");
    }
    let is_known = rules.knows(asked);
    if !is_known && !bears {
        return stranger(rules, asked);
    }
    if asked.looks {
        return Passage::Open;
    }
    let is_ours = bears || asked.origin.is_some_and(|origin| rules.is_ours(origin, asked.host));
    match (is_ours, rules.read_only && asked.path != LOGIN) {
        (true, true) => Passage::Closed(
            StatusCode::FORBIDDEN,
            "Nothing can be changed here: batchscribe was started with --read-only.",
        ),
        (true, false) => Passage::Open,
        (false, _) => Passage::Closed(StatusCode::FORBIDDEN, "This has to come from a page of this server."),
    }
}

/// What becomes of somebody without a session.
fn stranger(rules: &Rules, asked: &Asked<'_>) -> Passage {
    let closed = |words| Passage::Closed(StatusCode::UNAUTHORIZED, words);
    if rules.token.is_none() {
        let entrance = ENTRANCES.into_iter().find(|page| *page == asked.path);
        return match entrance.filter(|_| asked.looks && !asked.peeks && token(asked.query).is_some()) {
            Some(entrance) => Passage::Link(entrance),
            None => closed(rules.way_in),
        };
    }
    let types = asked.path == LOGIN && asked.origin.is_some_and(|origin| rules.is_ours(origin, asked.host));
    match asked.looks {
        true if OF_LOGIN.contains(&asked.path) => Passage::Open,
        true if PAGES.contains(&asked.path) => Passage::Login,
        false if types => Passage::Open,
        _ => closed("This server asks for a token: Authorization: Bearer TOKEN, or /login in a browser."),
    }
}

/// The value of a cookie.
fn cookie<'a>(cookies: &'a str, name: &str) -> Option<&'a str> {
    cookies.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The token of a query.
fn token(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("token="))
}

/// Stands before every route, as `wrap(from_fn(keep))`; takes its [`Gate`] from the app's data.
///
/// # Errors
/// Those of the routes behind it.
pub(super) async fn keep(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, Error> {
    let passage = request.app_data::<Data<Gate>>().map(|gate| (gate.passage(&asked(&request)), Data::clone(gate)));
    let mut answer: ServiceResponse<BoxBody> = match passage {
        Some((Passage::Open, _)) => next.call(request).await?.map_into_boxed_body(),
        Some((Passage::Link(page), gate)) => request.into_response(welcome(&gate.rules, page)),
        Some((Passage::Login, _)) => request.into_response(to(LOGIN).finish()),
        Some((Passage::Wait(pause), _)) => request.into_response(too_many(pause)),
        Some((Passage::Closed(status, words), _)) => request.into_response(refusal(status, words)),
        None => request.into_response(refusal(StatusCode::INTERNAL_SERVER_ERROR, "There is no gate.")),
    };
    for (name, value) in headers() {
        answer.headers_mut().insert(name, value);
    }
    if !answer.headers().contains_key(header::CACHE_CONTROL) {
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(answer)
}

fn asked(request: &ServiceRequest) -> Asked<'_> {
    let value = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    Asked {
        path: request.path(),
        query: request.query_string(),
        host: value(header::HOST),
        origin: value(header::ORIGIN),
        cookies: value(header::COOKIE),
        authorization: value(header::AUTHORIZATION),
        place: request.peer_addr().map(|peer| peer.ip()),
        looks: matches!(*request.method(), Method::GET | Method::HEAD),
        peeks: *request.method() == Method::HEAD,
    }
}

fn welcome(rules: &Rules, page: &'static str) -> HttpResponse {
    to(page).insert_header((header::SET_COOKIE, rules.set_cookie())).finish()
}

/// Sends a browser to another page.
fn to(page: &'static str) -> HttpResponseBuilder {
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((header::LOCATION, page));
    answer
}

fn refusal(status: StatusCode, words: &'static str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(words)
}

/// Tells a program that it has to wait.
fn too_many(pause: Duration) -> HttpResponse {
    let mut answer = refusal(StatusCode::TOO_MANY_REQUESTS, "Too many wrong tokens came from there; wait a little.");
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after(pause)));
    answer
}

fn headers() -> [(HeaderName, HeaderValue); 5] {
    let value = HeaderValue::from_static;
    [
        (header::CONTENT_SECURITY_POLICY, value(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        // Other sites learn nothing; to our own a form has to name its origin, which `no-referrer` would take from it.
        (header::REFERRER_POLICY, value("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), value("same-origin")),
        (HeaderName::from_static("cross-origin-opener-policy"), value("same-origin")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            hosts: Some(vec!["127.0.0.1:7041".to_owned(), "localhost:7041".to_owned()]),
            cookie: "batchscribe_7041".to_owned(),
            session: "s3ss10n".to_owned(),
            token: None,
            advice: "used",
            way_in: "open it",
            read_only: false,
        }
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    const KNOWN: Asked<'_> = Asked {
        path: "/api/v1/status",
        query: "",
        host: Some("127.0.0.1:7041"),
        origin: None,
        cookies: Some("other=1; batchscribe_7041=s3ss10n"),
        authorization: None,
        place: Some(HERE),
        looks: true,
        peeks: false,
    };

    fn secret(word: &str) -> Option<Arc<Secret>> {
        Some(Arc::new(Secret::new(word.to_owned())))
    }

    fn gate(rules: Rules) -> Gate {
        let link = Mutex::new(Link { token: "t0k3n".to_owned(), used: false });
        Gate { rules, link, clock: Clock::manual(0) }
    }

    fn told(rules: Rules, asked: Asked<'_>) -> u16 {
        match gate(rules).passage(&asked) {
            Passage::Open => 200,
            Passage::Link(_) | Passage::Login => 303,
            Passage::Wait(_) => 429,
            Passage::Closed(status, _) => status.as_u16(),
        }
    }

    fn status(asked: Asked<'_>) -> u16 {
        told(rules(), asked)
    }

    #[test]
    fn only_the_session_of_this_address_is_let_in() {
        assert_eq!(status(KNOWN), 200);
        assert_eq!(status(Asked { host: Some("LOCALHOST:7041"), ..KNOWN }), 200);
        for cookies in
            [None, Some(""), Some("batchscribe_7041=guess"), Some("batchscribe_7042=s3ss10n"), Some("s3ss10n")]
        {
            assert_eq!(status(Asked { cookies, ..KNOWN }), 401, "{cookies:?}");
        }
        for host in [None, Some("evil.example:7041"), Some("127.0.0.1"), Some("127.0.0.1:80"), Some("localhost")] {
            assert_eq!(status(Asked { host, ..KNOWN }), 421, "{host:?}");
        }
    }

    #[test]
    fn a_token_opens_an_entrance_and_nothing_else() {
        let stranger = Asked { cookies: None, path: "/review", query: "token=t0k3n", ..KNOWN };
        assert_eq!(passage(&rules(), &stranger, false), Passage::Link("/review"));
        assert_eq!(passage(&rules(), &Asked { path: "/", ..stranger }, false), Passage::Link("/"));
        assert_eq!(status(Asked { query: "token=guess", ..stranger }), 403);
        assert_eq!(status(Asked { query: "token=", ..stranger }), 403);
        assert_eq!(status(Asked { path: "//evil.example", ..stranger }), 401);
        assert_eq!(status(Asked { path: "/api/v1/status", ..stranger }), 401);
        assert_eq!(status(Asked { looks: false, ..stranger }), 401);
        assert_eq!(status(Asked { peeks: true, ..stranger }), 401, "a preview does not use the link up");
        assert_eq!(status(Asked { host: Some("evil.example:7041"), ..stranger }), 421);
        assert_eq!(status(Asked { cookies: KNOWN.cookies, ..stranger }), 200, "the same link again");
    }

    #[test]
    fn a_link_works_once_and_then_there_is_a_new_one() {
        let gate = gate(rules());
        let stranger = Asked { cookies: None, path: "/", query: "token=t0k3n", ..KNOWN };
        assert!(matches!(gate.passage(&Asked { query: "token=guess", ..stranger }), Passage::Closed(..)));
        assert_eq!(gate.invitation().expect("a link").as_deref(), Some("?token=t0k3n"), "it was not used up");
        assert_eq!(gate.passage(&stranger), Passage::Link("/"));
        assert_eq!(gate.passage(&stranger), Passage::Closed(StatusCode::FORBIDDEN, "used"));
        assert_eq!(gate.passage(&KNOWN), Passage::Open);
        let next = gate.invitation().expect("a link").expect("a link");
        assert_ne!(next, "?token=t0k3n");
        let next = Asked { query: &next[1..], ..stranger };
        assert!(matches!(gate.passage(&stranger), Passage::Closed(..)), "the old one is over");
        assert_eq!(gate.passage(&next), Passage::Link("/"));
    }

    #[test]
    fn a_token_lets_people_in_by_a_form_and_programs_by_a_header() {
        let server = || Rules { hosts: None, token: secret("w0rd"), ..rules() };
        let stranger = Asked { cookies: None, host: Some("scans.example.org"), ..KNOWN };
        let page = Asked { path: "/failures", ..stranger };
        assert_eq!(gate(server()).passage(&page), Passage::Login);
        assert_eq!(
            gate(server()).passage(&Asked { query: "token=t0k3n", ..page }),
            Passage::Login,
            "there are no links"
        );
        assert_eq!(told(server(), stranger), 401, "a program is told");
        for path in OF_LOGIN {
            assert_eq!(told(server(), Asked { path, ..stranger }), 200);
        }
        let types = Asked { path: LOGIN, looks: false, ..stranger };
        for (origin, status) in [
            (Some("https://scans.example.org"), 200),
            (Some("http://scans.example.org"), 200),
            (Some("https://evil.example"), 401),
            (None, 401),
        ] {
            assert_eq!(told(server(), Asked { origin, ..types }), status, "{origin:?}");
        }
        let gate = gate(server());
        assert_eq!(gate.enter(HERE, "guess"), Ok(None));
        let cookie = gate.enter(HERE, "w0rd").expect("nobody waits").expect("a cookie");
        assert!(cookie.starts_with("batchscribe_7041=s3ss10n; "), "{cookie}");
        let program = Asked { authorization: Some("Bearer w0rd"), ..stranger };
        assert_eq!(told(server(), program), 200);
        assert_eq!(told(server(), Asked { looks: false, ..program }), 200, "it needs no origin");
        assert_eq!(told(Rules { read_only: true, ..server() }, Asked { looks: false, ..program }), 403);
        for wrong in ["Bearer guess", "w0rd", "Bearer "] {
            assert_eq!(told(server(), Asked { authorization: Some(wrong), ..stranger }), 401, "{wrong}");
        }
        assert_eq!(
            status(Asked { authorization: Some("Bearer "), cookies: None, ..KNOWN }),
            401,
            "no token, no bearer"
        );
    }

    #[test]
    fn who_guesses_the_token_has_to_wait_however_it_is_told() {
        let gate = gate(Rules { hosts: None, token: secret("w0rd"), ..rules() });
        let bears = |told| Asked { cookies: None, authorization: Some(told), ..KNOWN };
        for _ in 0..3 {
            assert_eq!(gate.enter(HERE, "guess"), Ok(None));
        }
        for _ in 0..2 {
            assert!(matches!(gate.passage(&bears("Bearer guess")), Passage::Closed(StatusCode::UNAUTHORIZED, _)));
        }
        let minute = Duration::from_secs(60);
        assert_eq!(gate.enter(HERE, "w0rd"), Err(minute), "a right guess would tell it apart");
        assert_eq!(gate.passage(&bears("Bearer w0rd")), Passage::Wait(minute));
        assert_eq!(gate.passage(&bears("Basic dTpw")), gate.passage(&Asked { cookies: None, ..KNOWN }), "not ours");
        assert_eq!(gate.passage(&KNOWN), Passage::Open, "who has a session guesses nothing");
        let of_a_proxy = Asked { authorization: Some("Bearer of-a-proxy"), ..KNOWN };
        assert_eq!(gate.passage(&of_a_proxy), Passage::Open, "whatever stands before the request");
        let elsewhere = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)));
        assert_eq!(gate.passage(&Asked { place: elsewhere, ..bears("Bearer w0rd") }), Passage::Open);
        gate.clock.advance(minute);
        assert!(gate.enter(HERE, "w0rd").is_ok_and(|cookie| cookie.is_some()));
    }

    #[test]
    fn who_knows_a_long_token_is_let_in_whatever_a_stranger_behind_the_same_proxy_says() {
        let word = "b4tch".repeat(7);
        let gate = gate(Rules { hosts: None, token: secret(&word), ..rules() });
        let borne = format!("Bearer {word}");
        let bears = |told| Asked { cookies: None, authorization: Some(told), ..KNOWN };
        for _ in 0..5 {
            assert_eq!(gate.enter(HERE, "guess"), Ok(None));
        }
        assert!(gate.enter(HERE, "guess").is_err());
        assert!(matches!(gate.passage(&bears("Bearer guess")), Passage::Wait(_)));
        assert_eq!(gate.passage(&bears(&borne)), Passage::Open);
        assert!(gate.enter(HERE, &word).is_ok_and(|cookie| cookie.is_some()));
    }

    #[test]
    fn what_changes_something_has_to_come_from_our_own_page() {
        let change = Asked { looks: false, origin: Some("http://127.0.0.1:7041"), ..KNOWN };
        assert_eq!(status(change), 200);
        for origin in [
            None,
            Some("null"),
            Some("http://evil.example"),
            Some("https://127.0.0.1:7041"),
            Some("http://localhost:7041"),
        ] {
            assert_eq!(status(Asked { origin, ..change }), 403, "{origin:?}");
        }
        assert_eq!(status(Asked { cookies: None, ..change }), 401);
        let looked_at = Rules { read_only: true, ..rules() };
        assert!(matches!(passage(&looked_at, &change, false), Passage::Closed(StatusCode::FORBIDDEN, _)));
        assert_eq!(passage(&looked_at, &KNOWN, false), Passage::Open);
    }
}
