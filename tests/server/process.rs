//! The binary: `serve`, `send`, `watch` and `demo` as processes, ended gently and by kill -9.

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use crate::serving::{Client, Follower, until};
use anyhow::{Context, Result, ensure};
use dunlin::stream::Timestamp;
use dunlin::stream::log::{Append, LocalLog, LocalOptions, Log};
use dunlin::stream::process::Lanes;

const OBJECTS: usize = 40;
const STEPS: usize = 100;

fn dunlin() -> Command {
    Command::new(env!("CARGO_BIN_EXE_dunlin"))
}

/// A server process, killed when dropped.
struct Served {
    child: Child,
    client: Client,
    grpc: String,
    /// Until it could be reached.
    said: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two ports that nobody has.
fn free_ports() -> Result<[SocketAddr; 2]> {
    let listen = || TcpListener::bind("127.0.0.1:0");
    let (a, b) = (listen()?, listen()?);
    Ok([a.local_addr()?, b.local_addr()?])
}

/// Starts a server; what it says goes to a pipe.
fn spawn(folder: &Path, ports: [SocketAddr; 2], more: &[&str]) -> Result<Child> {
    spawn_by(dunlin(), folder, ports, more)
}

/// The same, with a command that the arguments are for.
fn spawn_by(
    mut command: Command,
    folder: &Path,
    [http, grpc]: [SocketAddr; 2],
    more: &[&str],
) -> Result<Child> {
    command.args(["serve", "--http", &http.to_string(), "--grpc", &grpc.to_string(), "--data"]);
    Ok(command.arg(folder).args(more).stderr(Stdio::piped()).spawn()?)
}

fn serve(folder: &Path, [http, grpc]: [SocketAddr; 2]) -> Result<Served> {
    let mut child = spawn(folder, [http, grpc], &[])?;
    let mut stderr = BufReader::new(child.stderr.take().context("a pipe")?);
    let mut said = String::new();
    while !said.contains(&http.to_string()) {
        ensure!(stderr.read_line(&mut said)? > 0, "{said}");
    }
    // What else it says must not fill the pipe.
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    Ok(Served { child, client: Client::to(http), grpc: grpc.to_string(), said })
}

/// Waits until a server that was spawned answers.
fn ready(http: SocketAddr) -> Result<Client> {
    let client = Client::to(http);
    until(|| Ok(client.get("/readyz").is_ok_and(|answer| answer.status == 200)))?;
    Ok(client)
}

/// Asks a process to end, as a service manager does.
fn terminate(child: &Child) -> Result<()> {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
    ensure!(asked.success(), "kill: {asked}");
    Ok(())
}

fn ended(mut child: Child) -> Result<Output> {
    until(|| Ok(child.try_wait()?.is_some()))?;
    Ok(child.wait_with_output()?)
}

/// Objects on a line that swap places with every step, as CSV; where they are last.
fn trace(path: &Path) -> Result<Vec<(String, f64)>> {
    let mut text = String::from("object,time,lon,lat\n");
    let x = |object: usize, step: usize| ((object * 17 + step * 7) % OBJECTS) as f64 / 100.0;
    for step in 0..STEPS {
        for object in 0..OBJECTS {
            text += &format!("o{object},{},{},0\n", 1_700_000_000 + step, x(object, step));
        }
    }
    std::fs::write(path, text)?;
    Ok((0..OBJECTS).map(|it| (format!("o{it}"), x(it, STEPS - 1))).collect())
}

/// Reads what comes until the server is gone: deltas, each of which leads on from the one before.
fn read_until_cut(mut follower: Follower) -> Result<Follower> {
    loop {
        let before = follower.last.clone();
        match follower.read_raw() {
            Ok(event) => {
                let after = before.as_deref().map_or(Ok((i64::MIN, 0)), place)?;
                ensure!(event.kind == "delta", "{event:?} after {before:?}");
                ensure!(place(&event.id)? > after, "{event:?} after {before:?}");
                follower.take(&event).with_context(|| format!("{event:?} after {before:?}"))?;
            }
            Err(error) if error.is::<serde_json::Error>() => return Err(error),
            Err(_) => return Ok(follower),
        }
    }
}

fn place(tag: &str) -> Result<(i64, u32)> {
    let (epoch, index) = tag.split_once('.').context("a tag")?;
    Ok((epoch.parse()?, index.parse()?))
}

#[test]
fn a_server_that_is_killed_again_and_again_loses_and_repeats_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (csv, data) = (folder.path().join("trace.csv"), folder.path().join("data"));
    let last = trace(&csv)?;
    let ports = free_ports()?;
    let mut served = serve(&data, ports)?;
    served.client.register(r#"{"id":"q1","knn":{"k":5,"at":[0,0]}}"#)?;
    let mut follower = served.client.follow("q1", None)?;
    follower.next_event()?;
    let sending = dunlin()
        .arg("send")
        .arg(&csv)
        .args(["--speed", "15x", "--url", &served.grpc])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    for after_ms in [310, 1_130, 720, 470, 930, 1_290] {
        let reader = std::thread::spawn(move || read_until_cut(follower));
        std::thread::sleep(Duration::from_millis(after_ms));
        served.child.kill()?;
        served.child.wait()?;
        let cut = reader.join().ok().context("it does not panic")??;
        served = serve(&data, ports)?;
        follower = served.client.follow("q1", cut.last.as_deref())?;
        (follower.list, follower.last, follower.events) = (cut.list, cut.last, cut.events);
    }
    let sent = ended(sending)?;
    let said = String::from_utf8_lossy(&sent.stderr).into_owned();
    ensure!(sent.status.success(), "{said}");
    ensure!(said.contains(&format!("{} acknowledged, 0 rejected", OBJECTS * STEPS)), "{said}");
    for (name, x) in &last {
        until(|| {
            let object = served.client.get(&format!("/v1/objects/{name}"))?.json()?;
            Ok(object["at"][0] == *x)
        })
        .with_context(|| format!("{name} is not at {x}"))?;
    }
    let listed = served.client.listed("q1")?;
    ensure!(listed.len() == 5, "{listed:?}");
    let expected: Vec<&str> = listed.iter().map(String::as_str).collect();
    while follower.list != expected {
        let event = follower.next_event()?;
        ensure!(event.kind == "delta", "{event:?}");
    }
    ensure!(follower.events > 30, "only {} events", follower.events);
    Ok(())
}

#[test]
fn a_server_that_is_asked_to_end_writes_a_checkpoint_and_ends_well() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = free_ports()?;
    let mut served = serve(folder.path(), ports)?;
    served.client.report(&[("a", 1.0, 2.0)])?;
    let taken = dunlin().args(["serve", "--http", &ports[0].to_string()]).output()?;
    let said = String::from_utf8(taken.stderr)?;
    assert_eq!(taken.status.code(), Some(1), "{said}");
    ensure!(said.contains("cannot listen on") && said.contains("--http"), "{said}");
    until(|| Ok(served.client.get("/v1/objects/a")?.status == 200))?;
    terminate(&served.child)?;
    until(|| Ok(served.child.try_wait()?.is_some()))?;
    assert_eq!(served.child.wait()?.code(), Some(0));
    let kept = std::fs::read_dir(folder.path().join("checkpoints/positions"))?.count();
    ensure!(kept > 0, "no checkpoint");
    let served = serve(folder.path(), ports)?;
    assert_eq!(served.client.get("/v1/objects/a")?.json()?["at"][1], 2.0);
    Ok(())
}

/// What a shell allows by default is no bound for connections.
#[test]
fn a_low_limit_of_open_files_is_raised() -> Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let folder = tempfile::tempdir()?;
    let ports = free_ports()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -Sn 256 && exec "$@""#, "sh", env!("CARGO_BIN_EXE_dunlin")]);
    let mut child = spawn_by(shell, folder.path(), ports, &[])?;
    ready(ports[0])?;
    let idle: Vec<TcpStream> =
        (0..1_000).map(|_| TcpStream::connect(ports[0])).collect::<Result<_, _>>()?;
    let answer = Client::to(ports[0]).get("/healthz").map(|answer| answer.status);
    child.kill()?;
    child.wait()?;
    drop(idle);
    assert_eq!(answer?, 200);
    Ok(())
}

/// Nobody who looks at the server's output misses that its state is not kept.
#[test]
fn a_checkpoint_that_is_not_written_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = free_ports()?;
    let mut child = spawn(folder.path(), ports, &[])?;
    let client = ready(ports[0])?;
    client.report(&[("a", 1.0, 2.0)])?;
    // A file where the folder of the checkpoints was.
    let checkpoints = folder.path().join("checkpoints/positions");
    std::fs::remove_dir_all(&checkpoints)?;
    std::fs::write(&checkpoints, "")?;
    terminate(&child)?;
    until(|| Ok(child.try_wait()?.is_some()))?;
    let out = child.wait_with_output()?;
    let said = String::from_utf8(out.stderr)?;
    assert_eq!(out.status.code(), Some(1), "{said}");
    ensure!(said.contains("the last checkpoint was not written"), "{said}");
    std::fs::remove_file(&checkpoints)?;
    // What was acknowledged is taken up from the log.
    let served = serve(folder.path(), ports)?;
    assert_eq!(served.client.get("/v1/objects/a")?.json()?["at"][1], 2.0);
    Ok(())
}

/// What goes on is said, as far as it is asked for.
#[test]
fn what_is_passed_over_is_told_on_stderr() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = free_ports()?;
    let served = serve(folder.path(), ports)?;
    served.client.report(&[("a", 1.0, 2.0)])?;
    until(|| Ok(served.client.get("/v1/objects/a")?.status == 200))?;
    terminate(&served.child)?;
    let mut served = served;
    until(|| Ok(served.child.try_wait()?.is_some()))?;
    // A whole checkpoint and one of which nothing is left.
    let checkpoints = folder.path().join("checkpoints/positions");
    let mut kept: Vec<_> = std::fs::read_dir(&checkpoints)?.collect::<std::io::Result<_>>()?;
    kept.sort_by_key(std::fs::DirEntry::file_name);
    let newest = kept.pop().context("a checkpoint")?.path();
    for file in walk(&newest)? {
        std::fs::write(file, "no checkpoint")?;
    }
    for (level, is_told) in [("warn", true), ("off", false)] {
        let child = spawn(folder.path(), ports, &["--log", level])?;
        ready(ports[0])?;
        Command::new("kill").args(["-KILL", &child.id().to_string()]).status()?;
        let said = String::from_utf8(child.wait_with_output()?.stderr)?;
        assert_eq!(said.contains("a checkpoint was passed over"), is_told, "{level}: {said}");
    }
    Ok(())
}

/// The files of a folder, or the file itself.
fn walk(path: &Path) -> Result<Vec<std::path::PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        files.extend(walk(&entry?.path())?);
    }
    Ok(files)
}

/// As after a machine whose clock was an hour ahead and was then set right.
#[test]
fn a_log_from_the_future_does_not_stop_the_clock() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = free_ports()?;
    let mut served = serve(folder.path(), ports)?;
    served.client.report(&[("a", 1.0, 2.0)])?;
    terminate(&served.child)?;
    until(|| Ok(served.child.try_wait()?.is_some()))?;
    let log = LocalLog::open(folder.path().join("log"), &LocalOptions::default())?;
    let lanes = Lanes::open(&log, "positions", 2)?;
    let hour = SystemTime::now() + Duration::from_secs(3_600);
    let millis = hour.duration_since(SystemTime::UNIX_EPOCH)?.as_millis();
    let stamp = Timestamp::from_millis(i64::try_from(millis)?)?;
    let tick = |lane| Append { lane, expected: None, stamp, payload: &[] };
    log.append(&lanes.read().into_iter().map(tick).collect::<Vec<_>>())?;
    log.sync()?;
    drop(log);
    let served = serve(folder.path(), ports)?;
    ensure!(served.said.contains("the log is ahead of the clock"), "{}", served.said);
    served.client.register(r#"{"id":"q1","knn":{"k":1,"at":[0,0]}}"#)?;
    served.client.report(&[("b", 0.5, 0.5)])?;
    until(|| Ok(served.client.listed("q1")? == ["b"]))?;
    Ok(())
}

#[test]
fn neighbours_are_watched() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = serve(folder.path(), free_ports()?)?;
    served.client.report(&[("a", 0.01, 0.0), ("b", 0.02, 0.0), ("c", 0.03, 0.0)])?;
    until(|| Ok(served.client.get("/v1/state")?.json()?["objects"] == 3))?;
    let watch = |args: &[&str]| {
        dunlin().arg("watch").args(args).args(["--count", "1", "--url", &served.grpc]).output()
    };
    let json = watch(&["--near", "0,0", "-k", "2", "--json"])?;
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout)?;
    assert_eq!(crate::serving::ids(&answer)?, ["a", "b"]);
    let table = String::from_utf8(watch(&["--object", "c", "-k", "1"])?.stdout)?;
    ensure!(table.starts_with("the 1 nearest \"c\": 1\n") && table.ends_with("  b\n"), "{table}");
    // What was registered for it is gone.
    until(|| Ok(served.client.get("/v1/queries")?.json()?["total"] == 0))?;
    let nobody = dunlin().args(["watch", "--near", "0,0", "--url", "127.0.0.1:1"]).output()?;
    let said = String::from_utf8(nobody.stderr)?;
    assert_eq!(nobody.status.code(), Some(1), "{said}");
    ensure!(said.contains("dunlin serve"), "{said}");
    Ok(())
}

#[test]
fn a_watch_that_is_told_to_end_leaves_nothing_behind() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let served = serve(folder.path(), free_ports()?)?;
    served.client.report(&[("a", 0.01, 0.0)])?;
    let standing =
        |count: u64| until(|| Ok(served.client.get("/v1/queries")?.json()?["total"] == count));
    for name in ["-TERM", "-HUP", "-INT"] {
        let mut watch = dunlin();
        watch.args(["watch", "--near", "0,0", "--json", "--url", &served.grpc]);
        let child = watch.stdout(Stdio::piped()).spawn()?;
        standing(1)?;
        Command::new("kill").args([name, &child.id().to_string()]).status()?;
        let out = ended(child)?;
        ensure!(out.status.success(), "{name}: {out:?}");
        standing(0).with_context(|| format!("after {name}"))?;
    }
    Ok(())
}

#[test]
fn a_file_that_is_sent_again_under_its_number_takes_effect_once() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let csv = folder.path().join("trace.csv");
    let rows = OBJECTS * STEPS;
    trace(&csv)?;
    let served = serve(&folder.path().join("data"), free_ports()?)?;
    let records = |name: &str| {
        let state = served.client.get("/v1/state")?.json()?;
        Ok::<_, anyhow::Error>(state["records"][name].clone())
    };
    let send = |speed: &str| {
        let mut command = dunlin();
        command.arg("send").arg(&csv).args(["--producer", "7", "--speed", speed]);
        command.args(["--url", &served.grpc]).stderr(Stdio::piped()).spawn()
    };
    // Somewhere in the middle the first one ends.
    let mut first = send("40x")?;
    until(|| Ok(records("applied")?.as_u64() > Some(rows as u64 / 4)))?;
    first.kill()?;
    first.wait()?;
    let half = records("applied")?.as_u64().context("a count")?;
    ensure!(half < rows as u64, "it was through already");
    for speed in ["max", "200x"] {
        let sent = ended(send(speed)?)?;
        ensure!(sent.status.success(), "{sent:?}");
    }
    until(|| Ok(records("applied")? == rows))?;
    until(|| Ok(records("duplicate")?.as_u64() >= Some(half + rows as u64)))?;
    assert_eq!(records("applied")?, rows);
    Ok(())
}

#[test]
fn the_demo_moves_and_answers() -> Result<()> {
    let mut child = dunlin()
        .args(["demo", "--objects", "500", "--seconds", "8"])
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = BufReader::new(child.stderr.take().context("a pipe")?);
    let mut told = String::new();
    while !told.contains("Ctrl-C") {
        ensure!(stderr.read_line(&mut told)? > 0, "{told}");
    }
    let address = told.split("http://").nth(1).and_then(|it| it.split('/').next());
    let client = Client::to(address.context("an address")?.parse()?);
    until(|| Ok(client.get("/v1/queries")?.json()?["total"] == 4))?;
    until(|| Ok(client.listed("station")?.len() == 10))?;
    let mut follower = client.follow("station", None)?;
    for _ in 0..3 {
        follower.next_event()?;
    }
    ensure!(client.listed("around-v7")?.len() == 5, "v7 is alone");
    let out = ended(child)?;
    let mut rest = String::new();
    stderr.read_to_string(&mut rest)?;
    ensure!(out.status.success(), "{rest}");
    Ok(())
}
