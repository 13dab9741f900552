//! Connections of both faces: a bounded number of them, none that is silent or stuck for ever, over
//! TLS when the server has a certificate.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

/// A write that does not go through for so long ends the connection.
const WRITE_MAX: Duration = Duration::from_secs(60);
/// After an error of `accept`, which mostly is a lack of files, we wait a little.
const BREATH: Duration = Duration::from_millis(50);

/// Where connections come in.
pub(super) struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    place_count: usize,
    silence_max: Option<Duration>,
    tls: Option<(TlsAcceptor, Duration)>,
}

impl Door {
    /// A door for so many at a time, who lose their connection when nothing comes from them for so
    /// long. A handshake has a time too.
    pub(super) fn new(
        listener: TcpListener,
        place_count: usize,
        silence_max: Option<Duration>,
        tls: Option<(TlsAcceptor, Duration)>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(place_count));
        Self { listener, places, place_count, silence_max, tls }
    }

    /// The next to come in, when there is room.
    pub(super) async fn next(&self) -> Arrival {
        let place = self.places.clone().acquire_owned().await.expect("it stays open");
        let stream = loop {
            match self.listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(BREATH).await;
                }
            }
        };
        // It only makes small messages later.
        drop(stream.set_nodelay(true));
        let mut stream = TimeoutStream::new(stream);
        stream.set_read_timeout(self.silence_max);
        stream.set_write_timeout(Some(WRITE_MAX));
        Arrival { stream, place, tls: self.tls.clone() }
    }

    /// Lets nobody in any more, and waits until all are gone, for a while.
    pub(super) async fn close(self, patience: Duration) {
        drop(self.listener);
        let all = u32::try_from(self.place_count).unwrap_or(u32::MAX);
        drop(tokio::time::timeout(patience, self.places.acquire_many(all)).await);
    }
}

/// Who has come in, and has not shaken hands.
pub(super) struct Arrival {
    stream: TimeoutStream<TcpStream>,
    place: OwnedSemaphorePermit,
    tls: Option<(TlsAcceptor, Duration)>,
}

impl Arrival {
    /// The connection, after the handshake if there is one.
    pub(super) async fn welcome(self) -> io::Result<Connection> {
        let Self { stream, place, tls } = self;
        let stream = Box::pin(stream);
        let wire: Wire = match tls {
            None => stream,
            Some((tls, time)) => {
                let shaken = tokio::time::timeout(time, tls.accept(stream)).await;
                Box::pin(shaken.map_err(io::Error::from)??)
            }
        };
        Ok(Connection { wire, _place: place })
    }
}

trait ReadWrite: AsyncRead + AsyncWrite + Send {}
impl<S: AsyncRead + AsyncWrite + Send> ReadWrite for S {}
type Wire = Pin<Box<dyn ReadWrite>>;

/// A connection, and its place.
pub(super) struct Connection {
    wire: Wire,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.as_mut().poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.as_mut().poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.as_mut().poll_shutdown(cx)
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// Where a certificate and its key lie.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and those that vouch for it, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// A certificate that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file does not read.
    #[error("{}: {source}; give --tls-cert and --tls-key files in PEM", .path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{}: there is no certificate in it; give --tls-cert a file in PEM", .0.display())]
    Empty(PathBuf),
    /// Certificate and key do not serve.
    #[error("{} and {}: {source}", .files.certificate.display(), .files.key.display())]
    Pair {
        /// Which files.
        files: TlsFiles,
        /// What is wrong.
        source: rustls::Error,
    },
}

impl TlsFiles {
    /// How to speak TLS 1.2 and 1.3 under the certificate, for a protocol by its name.
    pub(super) fn acceptor(&self, protocol: &[u8]) -> Result<TlsAcceptor, TlsError> {
        let pem = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::Pem { path, source }
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(pem(&self.certificate))?;
        if chain.is_empty() {
            return Err(TlsError::Empty(self.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(pem(&self.key))?;
        let failed = |source| TlsError::Pair { files: self.clone(), source };
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(failed)?;
        config.alpn_protocols.push(protocol.to_vec());
        Ok(Arc::new(config).into())
    }
}
