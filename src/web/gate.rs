//! Who may come in: the browser that was given the token, at this address, from no other site.
//!
//! A page of any other site can make a browser send requests to this computer. What keeps it out: the session's cookie is sent from
//! no other site (`SameSite=Strict`), a name that leads here without being ours is no `Host` of ours (DNS rebinding), and whatever
//! changes something has to name our `Origin`.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use crate::kit::hash::are_same_secrets;
use crate::kit::random;

/// Loads nothing but what the pages bring along, is framed by nobody, and sends its forms nowhere else.
const POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
/// Pages that the token may be brought to.
const ENTRANCES: [&str; 2] = ["/", "/review"];

/// The rules of one server.
#[derive(Debug)]
pub struct Gate {
    rules: Rules,
    /// Whether the token has let somebody in.
    used: AtomicBool,
}

/// What is compared with a request.
#[derive(Clone, Debug)]
struct Rules {
    /// Values of `Host` that are ours.
    hosts: Vec<String>,
    /// Name of the cookie: browsers tell cookies of two ports not apart.
    cookie: String,
    session: String,
    token: String,
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
    /// Whether it only looks: GET or HEAD.
    looks: bool,
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Passage {
    /// It may go on.
    Open,
    /// It brings the token: it gets the cookie, and is sent to this page.
    Token(&'static str),
    /// It may not, and why.
    Closed(StatusCode, &'static str),
}

impl Gate {
    /// A gate at `address`, with a new token and a new session. `names` are further values of `Host`, such as that of a proxy.
    ///
    /// # Errors
    /// The operating system's, if it has no randomness to give.
    pub fn new(address: SocketAddr, names: &[String], read_only: bool) -> io::Result<Self> {
        let port = address.port();
        let hosts = [address.to_string(), format!("localhost:{port}")].into_iter().chain(names.iter().cloned());
        let rules = Rules {
            hosts: hosts.collect(),
            cookie: format!("batchscribe_{port}"),
            session: random::secret()?,
            token: random::secret()?,
            read_only,
        };
        Ok(Self { rules, used: AtomicBool::new(false) })
    }

    /// What is appended to the address of a page so that its first visitor is let in; it works once.
    #[must_use]
    pub fn token_query(&self) -> String {
        format!("?token={}", self.rules.token)
    }

    fn passage(&self, asked: &Asked<'_>) -> Passage {
        match passage(&self.rules, asked) {
            Passage::Token(_) if self.used.swap(true, Ordering::SeqCst) => Passage::Closed(
                StatusCode::FORBIDDEN,
                "This link was used already; it works once. Start batchscribe again for a new one.",
            ),
            passage => passage,
        }
    }
}

/// What becomes of a request by the rules; whether a token was used already is another question.
fn passage(rules: &Rules, asked: &Asked<'_>) -> Passage {
    if !asked.host.is_some_and(|host| rules.hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host))) {
        return Passage::Closed(StatusCode::MISDIRECTED_REQUEST, "This server does not go by that name.");
    }
    let is_known =
        cookie(asked.cookies.unwrap_or_default(), &rules.cookie).is_some_and(|it| are_same_secrets(it, &rules.session));
    let entrance = ENTRANCES.into_iter().find(|page| *page == asked.path);
    if let (true, Some(entrance), Some(token)) = (asked.looks, entrance, token(asked.query)) {
        return match (is_known, are_same_secrets(token, &rules.token)) {
            // Somebody who is in already comes with the link again.
            (true, _) => Passage::Open,
            (false, true) => Passage::Token(entrance),
            (false, false) => Passage::Closed(StatusCode::FORBIDDEN, "This link is not one of this server."),
        };
    }
    if !is_known {
        return Passage::Closed(StatusCode::UNAUTHORIZED, "Open the link that batchscribe has printed.");
    }
    if asked.looks {
        return Passage::Open;
    }
    let ours = |origin: &str| origin.strip_prefix("http://").is_some_and(|host| asked.host == Some(host));
    match asked.origin {
        Some(origin) if ours(origin) && rules.read_only => Passage::Closed(
            StatusCode::FORBIDDEN,
            "Nothing can be changed here: batchscribe was started with --read-only.",
        ),
        Some(origin) if ours(origin) => Passage::Open,
        _ => Passage::Closed(StatusCode::FORBIDDEN, "This has to come from a page of this server."),
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
pub async fn keep(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse, Error> {
    let passage = request.app_data::<Data<Gate>>().map(|gate| (gate.passage(&asked(&request)), Data::clone(gate)));
    let mut answer: ServiceResponse<BoxBody> = match passage {
        Some((Passage::Open, _)) => next.call(request).await?.map_into_boxed_body(),
        Some((Passage::Token(page), gate)) => request.into_response(welcome(&gate.rules, page)),
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
        looks: matches!(*request.method(), Method::GET | Method::HEAD),
    }
}

fn welcome(rules: &Rules, page: &'static str) -> HttpResponse {
    let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Strict", rules.cookie, rules.session);
    HttpResponse::SeeOther()
        .insert_header((header::LOCATION, page))
        .insert_header((header::SET_COOKIE, cookie))
        .finish()
}

fn refusal(status: StatusCode, words: &'static str) -> HttpResponse {
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(words)
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
            hosts: vec!["127.0.0.1:7041".to_owned(), "localhost:7041".to_owned()],
            cookie: "batchscribe_7041".to_owned(),
            session: "s3ss10n".to_owned(),
            token: "t0k3n".to_owned(),
            read_only: false,
        }
    }

    const KNOWN: Asked<'_> = Asked {
        path: "/api/v1/status",
        query: "",
        host: Some("127.0.0.1:7041"),
        origin: None,
        cookies: Some("other=1; batchscribe_7041=s3ss10n"),
        looks: true,
    };

    fn status(asked: Asked<'_>) -> u16 {
        match passage(&rules(), &asked) {
            Passage::Open => 200,
            Passage::Token(_) => 303,
            Passage::Closed(status, _) => status.as_u16(),
        }
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
        assert_eq!(passage(&rules(), &stranger), Passage::Token("/review"));
        assert_eq!(passage(&rules(), &Asked { path: "/", ..stranger }), Passage::Token("/"));
        assert_eq!(status(Asked { query: "token=guess", ..stranger }), 403);
        assert_eq!(status(Asked { query: "token=", ..stranger }), 403);
        assert_eq!(status(Asked { path: "//evil.example", ..stranger }), 401);
        assert_eq!(status(Asked { path: "/api/v1/status", ..stranger }), 401);
        assert_eq!(status(Asked { looks: false, ..stranger }), 401);
        assert_eq!(status(Asked { host: Some("evil.example:7041"), ..stranger }), 421);
        assert_eq!(status(Asked { cookies: KNOWN.cookies, ..stranger }), 200, "the same link again");
    }

    #[test]
    fn a_token_works_once() {
        let gate = Gate { rules: rules(), used: AtomicBool::new(false) };
        let stranger = Asked { cookies: None, path: "/", query: "token=t0k3n", ..KNOWN };
        assert_eq!(
            gate.passage(&Asked { query: "token=guess", ..stranger }),
            passage(&rules(), &Asked { query: "token=guess", ..stranger })
        );
        assert_eq!(gate.passage(&stranger), Passage::Token("/"));
        assert!(matches!(gate.passage(&stranger), Passage::Closed(StatusCode::FORBIDDEN, _)));
        assert_eq!(gate.passage(&KNOWN), Passage::Open);
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
        assert!(matches!(passage(&looked_at, &change), Passage::Closed(StatusCode::FORBIDDEN, _)));
        assert_eq!(passage(&looked_at, &KNOWN), Passage::Open);
    }
}
