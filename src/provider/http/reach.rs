//! Why no connection came about, in words that say what to do: certificates, TLS versions, proxies.

use std::error::Error;
use std::io;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use rustls::CertificateError as Bad;
use rustls::Error as Tls;

/// Host and port of the proxy that requests to `base` go through, if any; never its user or password. The same rules as
/// the client's own: variables, the system's settings, exceptions.
pub(super) fn proxy_of(base: &Url) -> Option<String> {
    let proxy = Matcher::from_system().intercept(&base.as_str().parse().ok()?)?;
    Some(proxy.uri().authority()?.to_string())
}

/// All causes of an error, each in its own words.
pub(super) fn chain(cause: &(dyn Error + 'static)) -> String {
    let words: Vec<String> = causes(cause).map(ToString::to_string).collect();
    words.join(": ")
}

fn causes<'a>(cause: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(cause), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// What a person can do about a connection that did not come about; `None` if the layers' own words say it best.
pub(super) fn advice(cause: &(dyn Error + 'static), proxy: Option<&str>) -> Option<String> {
    if let Some(tls) = causes(cause).find_map(tls_error) {
        let words = of_tls(tls);
        return Some(proxy.map_or_else(|| words.clone(), |proxy| format!("{words} (through the proxy {proxy})")));
    }
    let (proxy, words) = (proxy?, chain(cause));
    let (_, tunnel) = words.split_once("tunnel error: ")?;
    Some(match tunnel.split_once(": ") {
        _ if tunnel.starts_with("proxy authorization required") => format!(
            "the proxy {proxy} wants a user and a password (407), or rejects those in HTTPS_PROXY (http://USER:PASSWORD@HOST:PORT)"
        ),
        _ if tunnel.starts_with("unsuccessful") => format!("the proxy {proxy} refused to connect to it"),
        Some((_, why)) => format!("the proxy {proxy} cannot be reached: {why}"),
        None => format!("the proxy {proxy} ended the connection ({tunnel})"),
    })
}

/// What an HTTP client needs of this computer and did not find.
pub(super) fn missing(cause: &(dyn Error + 'static)) -> String {
    let words = chain(cause);
    if words.contains("No CA certificates") {
        return "this computer names no authority that it trusts: install its CA certificates (package \
                ca-certificates), or name a file of them in SSL_CERT_FILE"
            .to_owned();
    }
    format!("no HTTP client: {words}")
}

/// The error of the TLS layer, which may be wrapped into some of the operating system's kind; those show no source.
fn tls_error<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a Tls> {
    match cause.downcast_ref::<io::Error>() {
        Some(wrapper) => tls_error(wrapper.get_ref()?),
        None => cause.downcast_ref(),
    }
}

fn of_tls(error: &Tls) -> String {
    match error {
        Tls::InvalidCertificate(Bad::UnknownIssuer | Bad::BadSignature) => {
            "its certificate is signed by an authority that this computer does not trust; if it is your own or your \
             proxy's, name its file in SSL_CERT_FILE"
                .to_owned()
        }
        Tls::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "its certificate has expired, or the clock of this computer is wrong".to_owned()
        }
        Tls::InvalidCertificate(Bad::NotValidYet | Bad::NotValidYetContext { .. }) => {
            "its certificate is not valid yet, or the clock of this computer is wrong".to_owned()
        }
        Tls::InvalidCertificate(Bad::NotValidForNameContext { presented, .. }) => {
            format!("its certificate is for another host: {}", presented.join(", "))
        }
        Tls::InvalidCertificate(why) => format!("its certificate cannot be trusted: {why}"),
        Tls::PeerIncompatible(why) => format!("it speaks no TLS of version 1.2 or newer that is safe ({why:?})"),
        Tls::InvalidMessage(_) => "it does not answer in TLS: is it an https:// address?".to_owned(),
        other => format!("no TLS: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the layers hand it up.
    fn wrapped(error: Tls) -> io::Error {
        io::Error::other(io::Error::other(error))
    }

    #[test]
    fn certificates_and_versions_are_told_in_words() {
        for (error, told) in [
            (Tls::InvalidCertificate(Bad::UnknownIssuer), "does not trust"),
            (Tls::InvalidCertificate(Bad::Expired), "expired"),
            (Tls::InvalidCertificate(Bad::NotValidYet), "not valid yet"),
            (Tls::InvalidCertificate(Bad::BadEncoding), "cannot be trusted"),
            (Tls::PeerIncompatible(rustls::PeerIncompatible::ServerDoesNotSupportTls12Or13), "TLS of version 1.2"),
            (Tls::InvalidMessage(rustls::InvalidMessage::InvalidContentType), "does not answer in TLS"),
        ] {
            let words = advice(&wrapped(error), Some("proxy:1")).expect("advice");
            assert!(words.contains(told) && words.ends_with("(through the proxy proxy:1)"), "{words}");
        }
        assert_eq!(advice(&io::Error::other("connection refused"), None), None);
        assert_eq!(advice(&io::Error::other("connection refused"), Some("proxy:1")), None);
    }

    #[test]
    fn a_proxy_is_told_with_what_it_did() {
        for (tunnel, told) in [
            ("proxy authorization required", "the proxy proxy:1 wants a user and a password"),
            ("unsuccessful", "the proxy proxy:1 refused to connect"),
            ("failed to create underlying connection: no route", "the proxy proxy:1 cannot be reached: no route"),
            ("unexpected end of file", "the proxy proxy:1 ended the connection"),
        ] {
            let words = advice(&io::Error::other(format!("tunnel error: {tunnel}")), Some("proxy:1")).expect("advice");
            assert!(words.starts_with(told), "{words}");
        }
    }

    #[test]
    fn a_computer_without_authorities_is_told_so() {
        let none = wrapped(Tls::General("No CA certificates were loaded from the system".to_owned()));
        assert!(missing(&none).contains("SSL_CERT_FILE"));
        assert_eq!(missing(&io::Error::other("odd")), "no HTTP client: odd");
    }
}
