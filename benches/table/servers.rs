//! Servers in processes of their own: sinks that drop what they are sent, also over TLS.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use batchscribe::bench::sink::{Answers, Sink};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::scene::clean;
use crate::support;

/// A server, which ends with this value.
pub(crate) struct Server {
    child: Child,
    pub(crate) base_url: String,
    /// The authority that has to be trusted for it, as `SSL_CERT_FILE` names it.
    authority: Option<PathBuf>,
}

impl Server {
    /// Drops what it is sent; batches never end.
    pub(crate) fn sink() -> Self {
        Self::start(&["drops"])
    }

    /// Drops what it is sent, and answers each request by its id.
    pub(crate) fn answering() -> Self {
        Self::start(&["answers"])
    }

    /// Drops what it is sent over TLS; its authority is written to `authority`.
    pub(crate) fn secure(authority: PathBuf) -> Self {
        let mut server = Self::start(&["secure", &authority.display().to_string()]);
        server.authority = Some(authority);
        server
    }

    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a name"));
        clean(command.arg("--serve").args(words)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it tells where it listens");
        Self { child, base_url: line.trim().to_owned(), authority: None }
    }

    /// Makes a process trust it.
    pub(crate) fn trusted_by<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(authority) = &self.authority {
            command.env("SSL_CERT_FILE", authority);
        }
        command
    }

    /// Processor seconds that it took so far.
    pub(crate) fn cpu(&self) -> f64 {
        support::cpu_of(&self.child.id().to_string())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Is such a server until the standard input ends: with whoever started it.
pub(crate) fn serve(words: &[String]) {
    let sink = match words {
        [word] if word == "drops" => Sink::start(Answers::None),
        [word] if word == "answers" => Sink::start(Answers::Each),
        [word, authority] if word == "secure" => secure(Path::new(authority)),
        other => panic!("there is no server {other:?}"),
    };
    let sink = sink.expect("a port");
    writeln!(std::io::stdout().lock(), "{}", sink.base_url()).expect("told");
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).expect("the end of the input");
}

/// A sink with TLS 1.3 by `rustls`, the implementation of the program, and a certificate for this computer. It speaks HTTP/1.1,
/// as the program does with large bodies wherever it sends them.
fn secure(authority: &Path) -> io::Result<Sink> {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // With the name of what it signs it would pass for a certificate that signed itself.
    params.distinguished_name.push(DnType::CommonName, "An authority of this bench");
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    std::fs::write(authority, issuer.pem())?;
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("parameters");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth();
    let config = Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).expect("a configuration"));
    Sink::start_wrapped(Answers::None, "https", move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    })
}
