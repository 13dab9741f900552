//! Who may do what, over TLS and without: tokens with scopes on both faces, and by the commands.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use dunlin::server::proto::ask_client::AskClient;
use dunlin::server::proto::ingest_client::IngestClient;
use dunlin::server::proto::queries_client::QueriesClient;
use dunlin::server::proto::{AskRequest, CreateRequest, PositionBatch};
use dunlin::server::{Limits, ServeOptions, Server};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::serving::{Client, options, start_with};

const READER: &str = "reader-0123456789";
const WRITER: &str = "writer-0123456789";
const BOTH: &str = "both-0123456789ab";
const NEAREST: &str = r#"{"id":"q1","knn":{"k":2,"at":[0,0]}}"#;

fn tokens(folder: &TempDir) -> Result<PathBuf> {
    let path = folder.path().join("tokens.toml");
    let token = |name: &str, secret: &str, scopes: &str| {
        format!("[[token]]\nname = \"{name}\"\nsecret = \"{secret}\"\nscopes = [{scopes}]\n")
    };
    let text = token("reader", READER, "\"read\"")
        + &token("writer", WRITER, "\"write\"")
        + &token("both", BOTH, "\"read\", \"write\"");
    std::fs::write(&path, text)?;
    Ok(path)
}

fn guarded(folder: &TempDir) -> Result<(Server, Client)> {
    start_with(&ServeOptions { tokens: Some(tokens(folder)?), ..options() })
}

#[test]
fn http_takes_what_the_scopes_of_a_token_allow() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, open) = guarded(&folder)?;
    let with = |secret: &str| open.with_token(secret);
    let line = r#"{"object":"a","at":[0,0]}"#;

    for path in ["/", "/app.js", "/healthz", "/readyz"] {
        assert_eq!(open.get(path)?.status, 200, "{path}");
    }
    for path in ["/v1/queries", "/v1/state", "/v1/objects/a", "/metrics", "/v1/openapi.json"] {
        let refused = open.get(path)?;
        ensure!(refused.asks.as_deref() == Some("Bearer"), "{refused:?}");
        let detail = refused.problem(401)?["detail"].to_string();
        ensure!(detail.contains("Authorization: Bearer"), "{detail}");
        assert_eq!(with("no-such-token-at-all").get(path)?.status, 401, "{path}");
        assert_eq!(with(WRITER).get(path)?.status, 403, "{path}");
    }
    for secret in [READER, "no-such-token-at-all"] {
        let refused = with(secret).post("/v1/positions", line)?;
        assert_eq!(refused.status, if secret == READER { 403 } else { 401 }, "{refused:?}");
        assert_ne!(with(secret).post("/v1/queries", NEAREST)?.status, 201);
        assert_ne!(with(secret).delete("/v1/queries/q1")?.status, 204);
    }
    let refused = with(READER).post("/v1/positions", line)?;
    ensure!(refused.asks.as_deref() == Some("Bearer error=\"insufficient_scope\""), "{refused:?}");

    with(WRITER).report(&[("a", 0.0, 0.0)])?;
    with(WRITER).register(NEAREST)?;
    with(READER).await_listed("q1", &["a"])?;
    assert_eq!(with(READER).post("/v1/query", r#"{"knn":{"k":1,"at":[0,0]}}"#)?.status, 200);
    assert_eq!(with(BOTH).delete("/v1/queries/q1")?.status, 204);
    server.stop()?;
    Ok(())
}

#[test]
fn a_token_in_the_address_may_only_read() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, open) = guarded(&folder)?;
    assert_eq!(open.get(&format!("/v1/queries?limit=1&access_token={READER}"))?.status, 200);
    assert_eq!(open.get("/v1/queries?access_token=wrong")?.status, 401);
    let refused = open.post(&format!("/v1/queries?access_token={BOTH}"), NEAREST)?;
    assert_eq!(refused.status, 401, "{refused:?}");
    // The map's own way in.
    let address = format!("ws://{}/v1/map?access_token={READER}", server.http());
    let stream = TcpStream::connect(server.http())?;
    let (mut socket, answer) = tungstenite::client(address, stream).context("it is let in")?;
    assert_eq!(answer.status().as_u16(), 101);
    let begin = std::time::Instant::now();
    server.stop()?;
    ensure!(begin.elapsed().as_secs() < 4, "an open map held up the end");
    ensure!(socket.read()?.is_close(), "the map is told");
    // Where nobody needs a token, the same address does.
    let (server, open) = start_with(&options())?;
    assert_eq!(open.get("/v1/queries?limit=1&access_token=whatever")?.status, 200);
    server.stop()?;
    Ok(())
}

/// Calls one method of each kind with a token: the codes of ingest, create and ask.
async fn codes(channel: Channel, secret: Option<&str>) -> Result<[Code; 3]> {
    let token = secret.map(|it| format!("Bearer {it}").parse::<MetadataValue<Ascii>>());
    let token = token.transpose()?;
    let show = move |mut request: Request<()>| {
        if let Some(token) = &token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    };
    let code = |status: Option<Status>| status.map_or(Code::Ok, |it| it.code());
    let mut ingest = IngestClient::with_interceptor(channel.clone(), show.clone());
    let batches = tokio_stream::once(PositionBatch { sequence: 1, ..PositionBatch::default() });
    let sent = ingest.positions(batches).await.err();
    let mut queries = QueriesClient::with_interceptor(channel.clone(), show.clone());
    let json = NEAREST.replace("q1", secret.unwrap_or("none"));
    let created = queries.create(CreateRequest { json }).await.err();
    let mut ask = AskClient::with_interceptor(channel, show);
    let json = r#"{"knn":{"k":1,"at":[0,0]}}"#.to_owned();
    let asked = ask.ask(AskRequest { json }).await.err();
    Ok([sent, created, asked].map(code))
}

#[test]
fn grpc_takes_what_the_scopes_of_a_token_allow() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, _) = guarded(&folder)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let channel = Channel::from_shared(format!("http://{}", server.grpc()))?;
    let channel = runtime.block_on(channel.connect())?;
    let ask = |secret| runtime.block_on(codes(channel.clone(), secret));
    assert_eq!(ask(None)?, [Code::Unauthenticated; 3]);
    assert_eq!(ask(Some("no-such-token-at-all"))?, [Code::Unauthenticated; 3]);
    assert_eq!(ask(Some(READER))?, [Code::PermissionDenied, Code::PermissionDenied, Code::Ok]);
    assert_eq!(ask(Some(WRITER))?, [Code::Ok, Code::Ok, Code::PermissionDenied]);
    assert_eq!(ask(Some(BOTH))?, [Code::Ok; 3]);
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    let asked = health.check(tonic_health::pb::HealthCheckRequest::default());
    runtime.block_on(asked)?;
    server.stop()?;
    Ok(())
}

/// A server with a certificate of its own for 127.0.0.1, and the files.
fn encrypted(folder: &TempDir, limits: Limits) -> Result<(Server, PathBuf)> {
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, pair.cert.pem())?;
    std::fs::write(&key, pair.signing_key.serialize_pem())?;
    let tls = Some(dunlin::server::TlsFiles { certificate: certificate.clone(), key });
    let tokens = Some(tokens(folder)?);
    let server = Server::start(&ServeOptions { tls, tokens, limits, ..options() })?;
    Ok((server, certificate))
}

/// The answer to a request over TLS.
fn over_tls(server: &Server, certificate: &Path, request: &str) -> Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1")?;
    let connection = ClientConnection::new(Arc::new(config), name)?;
    let mut stream = StreamOwned::new(connection, TcpStream::connect(server.http())?);
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn http_is_served_over_tls_and_only_over_tls() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, certificate) = encrypted(&folder, Limits::default())?;
    let request = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{more}\r\n")
    };
    let text = over_tls(&server, &certificate, &request("/healthz", ""))?;
    ensure!(text.starts_with("HTTP/1.1 200") && text.ends_with("ok\n"), "{text}");
    let text = over_tls(&server, &certificate, &request("/v1/queries", ""))?;
    ensure!(text.starts_with("HTTP/1.1 401"), "{text}");
    let token = format!("Authorization: Bearer {READER}\r\n");
    let text = over_tls(&server, &certificate, &request("/v1/queries", &token))?;
    ensure!(text.starts_with("HTTP/1.1 200"), "{text}");

    let mut plain = TcpStream::connect(server.http())?;
    plain.write_all(request("/healthz", "").as_bytes())?;
    let mut bytes = Vec::new();
    // A reset is no answer either.
    let _ = plain.read_to_end(&mut bytes);
    ensure!(!String::from_utf8_lossy(&bytes).contains("HTTP/1.1"), "{bytes:?}");
    server.stop()?;
    Ok(())
}

#[test]
fn who_does_not_shake_hands_is_cut() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let limits = Limits { head_ms_max: 300, ..Limits::default() };
    let (server, certificate) = encrypted(&folder, limits)?;
    for address in [server.http(), server.grpc()] {
        let mut idle = TcpStream::connect(address)?;
        idle.set_read_timeout(Some(crate::serving::PATIENCE))?;
        assert_eq!(idle.read(&mut [0; 16])?, 0, "the server has closed it");
    }
    let request = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    ensure!(over_tls(&server, &certificate, request)?.ends_with("ok\n"));
    server.stop()?;
    Ok(())
}

fn send(server: &Server, folder: &TempDir, more: &[&str]) -> Result<Output> {
    let path = folder.path().join("trace.csv");
    std::fs::write(&path, "object,time,lon,lat\na,2020-01-01T00:00:00Z,1,2\n")?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_dunlin"));
    command.arg("send").arg(&path).args(["--speed", "max"]).args(more);
    Ok(command.arg("--url").arg(format!("https://{}", server.grpc())).output()?)
}

#[test]
fn a_file_is_sent_over_tls_with_a_token() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, certificate) = encrypted(&folder, Limits::default())?;
    let ca = certificate.to_str().context("a path")?;
    let sent = send(&server, &folder, &["--ca", ca, "--token", WRITER])?;
    let said = String::from_utf8_lossy(&sent.stderr).into_owned();
    ensure!(sent.status.success() && said.contains("1 acknowledged"), "{said}");
    let failures: [(&[&str], &str); 4] = [
        (&["--ca", ca], "see --token"),
        (&["--ca", ca, "--token", READER], "has no scope \"write\""),
        (&["--token", WRITER], "cannot reach a server"),
        (&["--ca", "missing.pem", "--token", WRITER], "missing.pem"),
    ];
    for (more, expected) in failures {
        let failed = send(&server, &folder, more)?;
        let said = String::from_utf8_lossy(&failed.stderr).into_owned();
        ensure!(failed.status.code() == Some(1) && said.contains(expected), "{more:?}: {said}");
    }
    server.stop()?;
    Ok(())
}

#[test]
fn a_server_does_not_start_with_files_that_do_not_serve() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let pair = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    let cert = file("cert.pem", pair.cert.pem())?;
    let key = file("key.pem", pair.signing_key.serialize_pem())?;
    let stranger = file("stranger.pem", other.signing_key.serialize_pem())?;
    let empty = file("empty.pem", String::new())?;
    let bad = file("tokens.toml", "token = 3\n".to_owned())?;
    let tls = |certificate: &PathBuf, key: &PathBuf| dunlin::server::TlsFiles {
        certificate: certificate.clone(),
        key: key.clone(),
    };
    let missing = folder.path().join("missing.pem");
    for (files, expected) in [
        (tls(&missing, &key), "missing.pem"),
        (tls(&empty, &key), "there is no certificate in it"),
        (tls(&cert, &empty), "empty.pem"),
        (tls(&cert, &stranger), "stranger.pem"),
    ] {
        let started = Server::start(&ServeOptions { tls: Some(files), ..options() });
        let error = started.err().context("it does not start")?.to_string();
        ensure!(error.contains(expected), "{error}");
    }
    let started = Server::start(&ServeOptions { tokens: Some(bad), ..options() });
    let error = started.err().context("it does not start")?.to_string();
    ensure!(error.contains("tokens.toml") && error.contains("line 1"), "{error}");
    Ok(())
}
