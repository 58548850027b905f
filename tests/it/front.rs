//! What stands in the way of the program: a server with TLS in front of the emulator, an authority for its certificates,
//! and a proxy that opens tunnels.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::relay::serve;

/// Signs certificates, and is trusted by whoever is told so.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate says.
pub(crate) struct Certified<'a> {
    /// The name or address that it is for.
    pub(crate) name: &'a str,
    /// The year at whose end it is over.
    pub(crate) until: i32,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority"))
    }

    /// What `SSL_CERT_FILE` names.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// What a server with such a certificate is configured by.
    pub(crate) fn server(&self, certified: &Certified<'_>) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![certified.name.to_owned()]).expect("parameters");
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(certified.until, 12, 31));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).expect("a configuration"))
    }
}

/// A server with TLS that hands every request on to the emulator.
pub(crate) struct Front {
    /// Its port on this machine.
    pub(crate) port: u16,
    /// First lines of the requests that came through.
    heard: Arc<Mutex<Vec<String>>>,
}

impl Front {
    /// Stands before the emulator at `base_url`.
    pub(crate) fn before(base_url: &str, authority: &Authority, certified: &Certified<'_>) -> Self {
        let (config, heard) = (authority.server(certified), Arc::<Mutex<Vec<String>>>::default());
        let target = base_url.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
        let all = Arc::clone(&heard);
        let port = listen(move |stream| {
            // A client that does not trust the certificate ends here.
            drop(exchange(stream, Arc::clone(&config), &target, &all));
        });
        Self { port, heard }
    }

    /// First lines of the requests that came through.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("heard").clone()
    }
}

/// One connection, one request.
fn exchange(
    stream: TcpStream,
    config: Arc<ServerConfig>,
    target: &str,
    heard: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut secure = StreamOwned::new(ServerConnection::new(config).map_err(std::io::Error::other)?, stream);
    let (mut request, mut buffer) = (Vec::new(), [0; 16 << 10]);
    let end = loop {
        if let Some(at) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match secure.read(&mut buffer)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&buffer[..count]),
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    heard.lock().expect("heard").push(head.lines().next().unwrap_or_default().to_owned());
    while request.len() < end + content_length(&head) {
        match secure.read(&mut buffer)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&buffer[..count]),
        }
    }
    let mut server = TcpStream::connect(target)?;
    server.write_all(head.replacen("\r\n", "\r\nConnection: close\r\n", 1).as_bytes())?;
    server.write_all(&request[end..])?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    secure.write_all(&answer)?;
    secure.conn.send_close_notify();
    secure.flush()?;
    secure.sock.shutdown(Shutdown::Write)
}

fn content_length(head: &str) -> usize {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    let told = lines.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    told.and_then(|(_, length)| length.trim().parse().ok()).unwrap_or(0)
}

/// Each connection on a thread of its own; tells the port.
fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(stream), serve) = (stream, Arc::clone(&serve)) else { return };
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

/// A server that knows no TLS newer than 1.1: whatever it is offered, that is what it answers. Tells the first byte of what
/// the client sends then: 21 is an alert, 22 would be its going on.
pub(crate) fn old_server() -> (u16, Arc<Mutex<Vec<u8>>>) {
    let replies = Arc::<Mutex<Vec<u8>>>::default();
    let all = Arc::clone(&replies);
    let port = listen(move |mut stream| {
        let mut hello = [0; 4096];
        let greeted = stream.set_read_timeout(Some(Duration::from_secs(20))).and_then(|()| stream.read(&mut hello));
        if greeted.is_err() {
            return;
        }
        // Version 3.2 is TLS 1.1; ECDHE-RSA with AES-128 and SHA, no session, no compression, no extension.
        let mut told = vec![0x02, 0, 0, 38, 3, 2];
        told.extend_from_slice(&[7; 32]);
        told.extend_from_slice(&[0, 0xC0, 0x13, 0]);
        let mut record = vec![22, 3, 2, 0, u8::try_from(told.len()).expect("short")];
        record.extend_from_slice(&told);
        let mut reply = [0; 1];
        if stream.write_all(&record).and_then(|()| stream.read_exact(&mut reply)).is_ok() {
            all.lock().expect("replies").push(reply[0]);
        }
    });
    (port, replies)
}

/// A proxy: whatever host it is asked for, it leads to one port of this machine, or says no.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) address: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Opens tunnels to `port`.
    pub(crate) fn to(port: u16) -> Self {
        Self::new(move |mut stream| {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)) else { return };
            let greeted = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
            let (Ok(()), Ok(mut from), Ok(mut to)) = (greeted, stream.try_clone(), server.try_clone()) else { return };
            let sending = std::thread::spawn(move || {
                drop(std::io::copy(&mut from, &mut to));
                drop(to.shutdown(Shutdown::Write));
            });
            drop(std::io::copy(&mut server, &mut stream));
            drop(stream.shutdown(Shutdown::Both));
            sending.join().expect("the sender ends");
        })
    }

    /// Answers every request with `status`.
    pub(crate) fn refusing(status: &'static str) -> Self {
        Self::new(move |mut stream| {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            drop(stream.write_all(answer.as_bytes()));
        })
    }

    fn new(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let all = Arc::clone(&heard);
        let address = serve(move |stream, head, _| {
            all.lock().expect("heard").push(head);
            answer(stream);
        });
        Self { address, heard }
    }

    /// Heads of the requests that it got.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("heard").clone()
    }
}
