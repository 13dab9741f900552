//! A server in the test's process, and small clients that wait for what they expect.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dunlin::server::{ServeOptions, Server};
use serde_json::Value;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn options() -> ServeOptions {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    ServeOptions { http: any, grpc: any, ..ServeOptions::default() }
}

pub(crate) fn start() -> Result<(Server, Client)> {
    start_with(&options())
}

pub(crate) fn start_with(options: &ServeOptions) -> Result<(Server, Client)> {
    let server = Server::start(options)?;
    let client = Client::to(server.http());
    Ok((server, client))
}

/// Speaks HTTP to a server.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    pub(crate) base: String,
    token: Option<String>,
}

/// Status and body of an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) text: String,
    /// What a refusal asks for.
    pub(crate) asks: Option<String>,
    /// What a page may load.
    pub(crate) policy: Option<String>,
}

impl Answer {
    pub(crate) fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.text).with_context(|| format!("{self:?}"))
    }

    /// Holds it to be a problem of a status, and gives its JSON.
    pub(crate) fn problem(&self, status: u16) -> Result<Value> {
        ensure!(self.status == status, "not {status}: {self:?}");
        ensure!(self.kind == "application/problem+json", "{self:?}");
        let json = self.json()?;
        ensure!(json["status"] == status && json["detail"].is_string(), "{json}");
        Ok(json)
    }
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .build();
        Self { agent: config.into(), base: format!("http://{address}"), token: None }
    }

    /// The same client with a token.
    pub(crate) fn with_token(&self, secret: &str) -> Self {
        Self { token: Some(secret.to_owned()), ..self.clone() }
    }

    fn shown<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(secret) => request.header("Authorization", format!("Bearer {secret}")),
            None => request,
        }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        read(self.shown(self.agent.get(self.url(path))).call()?)
    }

    pub(crate) fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        let mut response = self.shown(self.agent.get(self.url(path))).call()?;
        ensure!(response.status().as_u16() == 200, "{:?}", response.status());
        Ok(response.body_mut().read_to_vec()?)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Answer> {
        read(self.shown(self.agent.delete(self.url(path))).call()?)
    }

    pub(crate) fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Result<Answer> {
        self.post_as(path, &[], body)
    }

    pub(crate) fn post_as(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Result<Answer> {
        let mut request = self.shown(self.agent.post(self.url(path)));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(request.send(body.as_ref())?)
    }

    /// Sends positions and expects all of them to be taken.
    pub(crate) fn report(&self, rows: &[(&str, f64, f64)]) -> Result<()> {
        let line = |&(object, x, y): &(&str, f64, f64)| {
            format!("{}\n", serde_json::json!({"object": object, "at": [x, y]}))
        };
        let lines: String = rows.iter().map(line).collect();
        let taken = self.post("/v1/positions", lines)?.json()?;
        ensure!(taken["accepted"] == rows.len(), "{taken}");
        Ok(())
    }

    /// Registers a query and expects it to be new.
    pub(crate) fn register(&self, query: &str) -> Result<()> {
        let answer = self.post("/v1/queries", query)?;
        ensure!(answer.status == 201, "{answer:?}");
        Ok(())
    }

    /// The ids in the answer of a query.
    pub(crate) fn listed(&self, query: &str) -> Result<Vec<String>> {
        let answer = self.get(&format!("/v1/queries/{query}/answer"))?.json()?;
        ids(&answer)
    }

    /// Waits until the answer of a query lists these.
    pub(crate) fn await_listed(&self, query: &str, expected: &[&str]) -> Result<()> {
        until(|| Ok(self.listed(query)? == expected))
            .with_context(|| format!("{query} lists {:?}, not {expected:?}", self.listed(query)))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// Follows a query by server-sent events.
    pub(crate) fn follow(&self, query: &str, after: Option<&str>) -> Result<Follower> {
        let mut request = self.agent.get(self.url(&format!("/v1/queries/{query}/stream")));
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let response = request.call()?;
        ensure!(response.status().as_u16() == 200, "{:?}", response.status());
        let reader: Box<dyn Read + Send> = Box::new(response.into_body().into_reader());
        Ok(Follower { lines: BufReader::new(reader), list: Vec::new(), last: None, events: 0 })
    }
}

fn read(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer> {
    let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (asks, policy) = (header("www-authenticate"), header("content-security-policy"));
    let (kind, status) = (header("content-type").unwrap_or_default(), response.status().as_u16());
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string()?;
    Ok(Answer { status, kind, text, asks, policy })
}

/// The ids that an answer object lists.
pub(crate) fn ids(answer: &Value) -> Result<Vec<String>> {
    let objects = answer["objects"].as_array().with_context(|| format!("no answer: {answer}"))?;
    Ok(objects.iter().filter_map(|it| it["id"].as_str()).map(str::to_owned).collect())
}

/// Waits until something holds.
pub(crate) fn until(mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        if holds()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    bail!("it did not come to hold")
}

/// Who follows a query, and what it knows.
pub(crate) struct Follower {
    lines: BufReader<Box<dyn Read + Send>>,
    pub(crate) list: Vec<String>,
    pub(crate) last: Option<String>,
    pub(crate) events: usize,
}

/// A server-sent event.
#[derive(Debug)]
pub(crate) struct SentEvent {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl Follower {
    /// The next event; applies it to what is known.
    pub(crate) fn next_event(&mut self) -> Result<SentEvent> {
        let event = self.read_raw()?;
        self.take(&event)?;
        Ok(event)
    }

    /// Applies an event to what is known.
    pub(crate) fn take(&mut self, event: &SentEvent) -> Result<()> {
        apply(&mut self.list, &event.kind, &event.data)?;
        self.last = Some(event.id.clone());
        self.events += 1;
        Ok(())
    }

    /// The next event as it comes.
    pub(crate) fn read_raw(&mut self) -> Result<SentEvent> {
        let (mut kind, mut id, mut data) = (String::new(), String::new(), String::new());
        loop {
            let mut line = String::new();
            ensure!(self.lines.read_line(&mut line)? > 0, "the stream ended");
            let line = line.trim_end();
            match line.split_once(": ") {
                Some(("event", text)) => kind = text.to_owned(),
                Some(("id", text)) => id = text.to_owned(),
                Some(("data", text)) => data = text.to_owned(),
                _ if line.is_empty() && !data.is_empty() => {
                    return Ok(SentEvent { kind, id, data: serde_json::from_str(&data)? });
                }
                _ => {}
            }
        }
    }

    /// Reads until the list is this.
    pub(crate) fn read_until(&mut self, expected: &[&str]) -> Result<()> {
        while self.events == 0 || self.list != expected {
            self.next_event().with_context(|| format!("at {:?}", self.list))?;
        }
        Ok(())
    }
}

/// What an event makes of a list of ids.
pub(crate) fn apply(list: &mut Vec<String>, kind: &str, data: &Value) -> Result<()> {
    if kind == "answer" {
        *list = ids(data)?;
        return Ok(());
    }
    let changes = data["changes"].as_array().context("a delta has changes")?;
    for change in changes {
        let id = change["leave"].as_str().or(change["reorder"]["id"].as_str());
        if let Some(id) = id {
            let place = list.iter().position(|it| it == id).context("who leaves was there")?;
            list.remove(place);
        }
    }
    for change in changes {
        for kind in ["enter", "reorder"] {
            if let Some(id) = change[kind]["id"].as_str() {
                let rank = change[kind]["rank"].as_u64().context("a rank")? as usize;
                ensure!(!list.iter().any(|it| it == id), "{id} enters twice");
                list.insert(rank, id.to_owned());
            }
        }
    }
    Ok(())
}
