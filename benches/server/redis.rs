//! The rival: Redis GEO, which stores points by geohash and answers when it is asked.
//!
//! It has no standing questions, so they are asked again and again; how long a round of all of them
//! takes is how old an answer gets. It wants a radius: here one that holds ten objects almost
//! everywhere. It knows longitudes and latitudes only: metres become degrees near the equator.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dunlin::index::Coord;

use super::{OBJECTS, QUERIES, Rounds, name};

const METRES_PER_DEGREE: f64 = 111_195.0;
/// Members of one `GEOADD`, and commands that are sent before answers are read.
const MEMBERS: usize = 100;
const PIPELINE: usize = 50;
const RADIUS_M: usize = 200;

/// A Redis of this bench's own, ended when dropped.
struct Redis {
    child: Child,
    port: u16,
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Redis {
    fn start() -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server does not start; 'apt-get install redis-server' brings it")?;
        let redis = Self { child, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(begin.elapsed() < Duration::from_secs(10), "redis-server does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }

    fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        Ok(Connection { answers: BufReader::new(stream.try_clone()?), stream, text: Vec::new() })
    }
}

struct Connection {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    text: Vec<u8>,
}

impl Connection {
    fn command(&mut self, parts: &[&str]) {
        self.text.extend(format!("*{}\r\n", parts.len()).bytes());
        for part in parts {
            self.text.extend(format!("${}\r\n{part}\r\n", part.len()).bytes());
        }
    }

    /// Sends what was written and reads as many answers.
    fn round(&mut self, answers: usize) -> Result<()> {
        self.stream.write_all(&self.text)?;
        self.text.clear();
        (0..answers).try_for_each(|_| self.answer().map(drop))
    }

    /// Reads an answer; how many items it has.
    fn answer(&mut self) -> Result<usize> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let (kind, rest) = line.trim_end().split_at_checked(1).context("an answer")?;
        match kind {
            ":" | "+" => Ok(1),
            "$" => {
                let mut text = vec![0; rest.parse::<usize>()? + 2];
                self.answers.read_exact(&mut text)?;
                Ok(1)
            }
            "*" => {
                let items = rest.parse()?;
                (0..items).try_for_each(|_| self.answer().map(drop))?;
                Ok(items)
            }
            _ => bail!("Redis says {line}"),
        }
    }

    fn add(&mut self, rounds: &Rounds, from: usize) -> Result<()> {
        for piece in 0..PIPELINE {
            let mut parts = vec!["GEOADD".to_owned(), "at".to_owned()];
            for (name, at) in rounds.rows(from + piece * MEMBERS, MEMBERS) {
                let [lon, lat] = degrees(at);
                parts.extend([lon, lat, name]);
            }
            self.command(&parts.iter().map(String::as_str).collect::<Vec<_>>());
        }
        self.round(PIPELINE)
    }

    fn ask(&mut self, rounds: &Rounds, numbers: std::ops::Range<usize>) -> Result<()> {
        let (radius, count) = (RADIUS_M.to_string(), numbers.len());
        for number in numbers {
            let object = number * 97 % OBJECTS;
            let rest = ["BYRADIUS", &radius, "m", "ASC", "COUNT", "10", "WITHDIST"];
            let head = ["GEOSEARCH", "at"];
            if number % 2 == 0 {
                let [lon, lat] = degrees(rounds.0[0][object]);
                self.command(&[&head[..], &["FROMLONLAT", &lon, &lat], &rest].concat());
            } else {
                self.command(&[&head[..], &["FROMMEMBER", &name(object)], &rest].concat());
            }
        }
        self.round(count)
    }
}

fn degrees(Coord { x, y }: Coord) -> [String; 2] {
    [x, y].map(|metres| format!("{:.7}", metres / METRES_PER_DEGREE))
}

/// Positions into Redis on one connection, questions on another, both as fast as it goes.
pub(super) fn compare(rounds: &Rounds, time: Duration) -> Result<()> {
    let redis = Redis::start()?;
    let begin = Instant::now();
    let mut feed = redis.connect()?;
    let step = MEMBERS * PIPELINE;
    (0..OBJECTS).step_by(step).try_for_each(|from| feed.add(rounds, from))?;
    let alone = OBJECTS as f64 / begin.elapsed().as_secs_f64();
    println!("| redis | GEOADD alone: {alone:.0} positions/s |");

    let (begin, is_over, asked) = (Instant::now(), AtomicBool::new(false), AtomicU64::new(0));
    let rate = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asker = redis.connect()?;
            for from in (0..QUERIES).step_by(PIPELINE).cycle() {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                asker.ask(rounds, from..from + PIPELINE)?;
                asked.fetch_add(PIPELINE as u64, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
        let mut sent = 0usize;
        while begin.elapsed() < time {
            feed.add(rounds, sent)?;
            sent += step;
        }
        is_over.store(true, Ordering::Relaxed);
        asking.join().ok().context("no panic")??;
        anyhow::Ok(sent as f64 / begin.elapsed().as_secs_f64())
    })?;
    let questions = asked.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64();
    let round = QUERIES as f64 / questions;
    println!(
        "| redis | GEOADD {rate:.0} positions/s beside GEOSEARCH {questions:.0}/s: a round of {QUERIES} questions takes {round:.2} s |"
    );
    Ok(())
}
