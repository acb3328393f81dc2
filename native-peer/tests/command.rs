//! The `weft` command as it is shipped: processes, pipes, exit codes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::Signaler;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// A signaler, and a directory of keys for each person.
struct World {
    signaler: Signaler,
    keys: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        Self { signaler: Signaler::start().await, keys: tempfile::tempdir().unwrap() }
    }

    fn weft(&self, who: &str, command: &str, args: &[&str]) -> Command {
        let mut weft = plain(&self.keys.path().join(who), command);
        weft.args(["--party", "test", "--listen-address", "127.0.0.1", "--signaler", &self.signaler.url()]);
        weft.args(args);
        weft
    }

    /// Somebody's identity, made if it does not exist yet.
    async fn identity(&self, who: &str) -> String {
        let mut id = plain(&self.keys.path().join(who), "id");
        id.arg("--json");
        let (_, id, _) = run(id).await;
        serde_json::from_str::<Value>(&id).unwrap()["identity"].as_str().unwrap().to_owned()
    }
}

fn plain(data: &Path, command: &str) -> Command {
    let mut weft = Command::new(env!("CARGO_BIN_EXE_weft"));
    for variable in ["WEFT_SIGNALER", "WEFT_PARTY", "RUST_LOG"] {
        weft.env_remove(variable);
    }
    weft.env("WEFT_DATA", data).arg(command);
    weft.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    weft
}

/// Ends a test that waits for what never comes.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(40), what).await.expect("in time")
}

/// Runs to the end: exit code, standard output, standard error.
async fn run(mut command: Command) -> (i32, String, String) {
    let output = soon(command.output()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

fn lines_of(child: &mut Child) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

/// Waits until a child says something on standard error.
async fn says(child: &mut Child, what: &str) {
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    soon(async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains(what) {
                break;
            }
        }
    })
    .await;
    // What it says later must not fill the pipe.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
}

async fn next_json(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = soon(lines.next_line()).await.unwrap().expect("a line");
    serde_json::from_str(&line).unwrap()
}

async fn interrupt(child: &Child) {
    signal(child, "-INT").await;
}

async fn signal(child: &Child, which: &str) {
    let id = child.id().expect("running").to_string();
    let done = Command::new("kill").args([which, &id]).status().await.unwrap();
    assert!(done.success());
}

#[tokio::test]
async fn m3_what_one_command_publishes_another_prints_if_it_matches() {
    let world = World::new().await;
    let query = r#"{"rating":{"$gte":8},"when":{"$exists":true}}"#;
    let mut subscriber = world.weft("ada", "subscribe", &[query, "--count", "2", "--stats"]).spawn().unwrap();
    let mut publisher = world.weft("bob", "publish", &["--verbose"]).stdin(Stdio::piped()).spawn().unwrap();
    let input = concat!(
        "{\"title\":\"Ran\",\"rating\":8.2,\"when\":{\"$date\":\"1985-06-01T00:00:00Z\"}}\n",
        "{\"title\":\"Cats\",\"rating\":2.8,\"when\":{\"$date\":0}}\n",
        "not JSON\n",
        "{\"title\":\"Ikiru\",\"rating\":8.3,\"when\":{\"$date\":\"1952-10-09T00:00:00Z\"}}\n",
    );
    let mut stdin = publisher.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).await.unwrap();
    drop(stdin);
    let mut printed = lines_of(&mut subscriber);
    let mut published = lines_of(&mut publisher);
    for (title, millis) in [("Ran", 486_432_000_000_i64), ("Ikiru", -543_715_200_000)] {
        let line = next_json(&mut printed).await;
        assert_eq!(line["data"]["title"], title);
        assert_eq!(line["data"]["when"]["$date"], millis);
        assert!(line["author"].as_str().unwrap().starts_with("z6Mk"));
        assert!(line["time"].as_u64().is_some() && line["backlog"] == false);
    }
    let mut seqs = Vec::new();
    for _ in 0..3 {
        let line = next_json(&mut published).await;
        assert_eq!(line["id"].as_str().unwrap().len(), 64);
        seqs.push(line["seq"].as_u64().unwrap());
    }
    assert!(seqs[0] + 1 == seqs[1] && seqs[1] + 1 == seqs[2], "{seqs:?}");
    let mut errors = String::new();
    publisher.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
    assert!(errors.contains("line 3"), "{errors}");
    assert!(errors.contains("3 published, 1 refused"), "{errors}");
    assert_eq!(soon(publisher.wait()).await.unwrap().code(), Some(1), "a refused line is a failure");
    assert_eq!(soon(subscriber.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_strict_publisher_hands_over_what_stands_before_the_first_bad_line() {
    let world = World::new().await;
    let mut subscriber = world.weft("ada", "subscribe", &["--count", "2"]).spawn().unwrap();
    let mut publisher = world.weft("bob", "publish", &["--strict"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = publisher.stdin.take().unwrap();
    stdin.write_all(b"{\"ok\":1}\n{\"ok\":2}\nnot json\n{\"ok\":3}\n").await.unwrap();
    let mut errors = String::new();
    soon(publisher.stderr.take().unwrap().read_to_string(&mut errors)).await.unwrap();
    assert!(errors.contains("line 3") && errors.contains("2 published, 1 refused"), "{errors}");
    assert_eq!(soon(publisher.wait()).await.unwrap().code(), Some(1));
    let mut printed = lines_of(&mut subscriber);
    assert_eq!(next_json(&mut printed).await["data"]["ok"], 1);
    assert_eq!(next_json(&mut printed).await["data"]["ok"], 2);
    assert_eq!(soon(subscriber.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn q11_a_seed_serves_a_file_to_those_who_come_later_until_it_is_interrupted() {
    let world = World::new().await;
    let file = world.keys.path().join("films.json");
    tokio::fs::write(
        &file,
        r#"[{"n":1},{"n":2},
        {"n":3}]"#,
    )
    .await
    .unwrap();
    let args = ["--stay", file.to_str().unwrap()];
    let mut seed = world.weft("ada", "publish", &args).spawn().unwrap();
    says(&mut seed, "serving 3 documents").await;
    for who in ["bob", "eve"] {
        let late = world.weft(who, "subscribe", &["--backlog", "--count", "3"]);
        let (code, out, errors) = run(late).await;
        assert_eq!(code, 0, "{errors}");
        let numbers: Vec<_> = out
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["data"]["n"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, [1, 2, 3]);
    }
    let asked = std::time::Instant::now();
    interrupt(&seed).await;
    assert_eq!(soon(seed.wait()).await.unwrap().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_seed_serves_more_than_may_wait_to_be_sent_though_nobody_is_there() {
    let world = World::new().await;
    let file = world.keys.path().join("large.jsonl");
    // 18 MB, where 16 MiB may wait.
    let large = "x".repeat(900_000);
    let lines: Vec<String> = (1..=20).map(|n| format!("{{\"n\":{n},\"text\":\"{large}\"}}\n")).collect();
    tokio::fs::write(&file, lines.concat()).await.unwrap();
    let mut seed = world.weft("ada", "seed", &[file.to_str().unwrap()]).spawn().unwrap();
    says(&mut seed, "serving 20 documents (20 of them new)").await;
    let late = world.weft("bob", "subscribe", &["--backlog", "--count", "20", r#"{"n":{"$gt":0}}"#]);
    let (code, out, errors) = run(late).await;
    assert_eq!(code, 0, "{errors}");
    assert_eq!(out.lines().count(), 20);
    interrupt(&seed).await;
    assert_eq!(soon(seed.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn q11_a_seed_that_is_killed_and_started_again_serves_each_document_once_and_what_was_added() {
    let world = World::new().await;
    let file = world.keys.path().join("films.jsonl");
    let line = |n: u32| format!("{{\"n\":{n}}}\n");
    let mut text: String = (1..=50).map(line).collect();
    // A line that is there twice, and one that is none.
    text.push_str(&line(7));
    text.push_str("not json\n");
    tokio::fs::write(&file, &text).await.unwrap();
    let args = [file.to_str().unwrap()];
    let mut seed = world.weft("ada", "seed", &args).spawn().unwrap();
    says(&mut seed, "serving 50 documents (50 of them new, 1 refused)").await;
    seed.kill().await.unwrap();

    let mut seed = world.weft("ada", "seed", &args).spawn().unwrap();
    says(&mut seed, "serving 50 documents (0 of them new, 1 refused)").await;
    text.push_str(&line(51));
    tokio::fs::write(&file, &text).await.unwrap();
    let late = world.weft("bob", "subscribe", &["--backlog", "--count", "51"]);
    let (code, out, errors) = run(late).await;
    assert_eq!(code, 0, "{errors}");
    let numbers = |out: &str| -> Vec<i64> {
        let read = |line: &str| serde_json::from_str::<Value>(line).unwrap()["data"]["n"].as_i64().unwrap();
        out.lines().map(read).collect()
    };
    assert_eq!(numbers(&out), (1..=51).collect::<Vec<i64>>());
    interrupt(&seed).await;
    assert_eq!(soon(seed.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_seed_without_its_file_or_with_a_wrong_size_says_so_and_starts_nothing() {
    let world = World::new().await;
    let (code, _, errors) = run(world.weft("ada", "seed", &["/nowhere/films.json"])).await;
    assert_eq!(code, 1);
    assert!(errors.contains("/nowhere/films.json"), "{errors}");
    let (code, _, errors) = run(world.weft("ada", "seed", &["--keep", "lots", "x"])).await;
    assert_eq!(code, 2);
    assert!(errors.contains("64M"), "{errors}");
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_a_subscription_quietly() {
    let world = World::new().await;
    let mut subscriber = world.weft("ada", "subscribe", &[]).spawn().unwrap();
    // Somebody who stays, so that there is always one to hand documents to.
    let _other = world.weft("eve", "subscribe", &[]).spawn().unwrap();
    let mut publisher =
        world.weft("bob", "publish", &["--wait-peers", "2"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = publisher.stdin.take().unwrap();
    stdin.write_all(b"{\"n\":1}\n").await.unwrap();
    let mut printed = lines_of(&mut subscriber);
    next_json(&mut printed).await;
    drop(printed);
    stdin.write_all(b"{\"n\":2}\n{\"n\":3}\n").await.unwrap();
    drop(stdin);
    assert_eq!(soon(subscriber.wait()).await.unwrap().code(), Some(0));
    let mut errors = String::new();
    subscriber.stderr.take().unwrap().read_to_string(&mut errors).await.unwrap();
    assert_eq!(errors, "");
    assert_eq!(soon(publisher.wait()).await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn an_output_that_nobody_reads_holds_up_neither_the_mesh_nor_an_interrupt() {
    let world = World::new().await;
    // Its standard output stays unread, and its pipe is soon full.
    let mut subscriber = world.weft("ada", "subscribe", &[]).spawn().unwrap();
    let mut publisher = world.weft("bob", "publish", &[]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = publisher.stdin.take().unwrap();
    let filler = "x".repeat(4000);
    for n in 0..200 {
        stdin.write_all(format!("{{\"n\":{n},\"filler\":\"{filler}\"}}\n").as_bytes()).await.unwrap();
    }
    drop(stdin);
    assert_eq!(soon(publisher.wait()).await.unwrap().code(), Some(0));
    let asked = std::time::Instant::now();
    interrupt(&subscriber).await;
    soon(subscriber.wait()).await.unwrap();
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn a_message_is_delivered_or_its_sender_told_that_nobody_was_there() {
    let world = World::new().await;
    let ada = world.identity("ada").await;
    let mut listener = world.weft("ada", "listen", &["--count", "1"]).spawn().unwrap();
    says(&mut listener, "listening as").await;
    let mut heard = lines_of(&mut listener);
    let (code, out, errors) = run(world.weft("bob", "send", &[&ada, "hello"])).await;
    assert_eq!(code, 0, "{errors}");
    let sent: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&sent["outcome"], &sent["to"]), (&"delivered".into(), &ada.into()));
    let message = next_json(&mut heard).await;
    assert_eq!(message["data"]["text"], "hello");
    assert_eq!(message["id"], sent["id"]);
    assert_eq!(soon(listener.wait()).await.unwrap().code(), Some(0));

    let nobody = weft_wire::IdentityId([1; 32]).to_string();
    let (code, out, _) = run(world.weft("bob", "send", &[&nobody, "hello", "--timeout", "0.5"])).await;
    assert_eq!(code, 3);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["outcome"], "unreachable");
}

#[tokio::test]
async fn a_request_is_answered_by_a_command_or_its_failure_told() {
    let world = World::new().await;
    let ada = world.identity("ada").await;
    let script = r#"read -r it; case $it in
        *slow*) exec sleep 60;; *bad*) echo first >&2; echo "no such film" >&2; exit 3;; *plain*) echo Ran;;
        *) printf '{"for":"%s","was":%s}' "$WEFT_FROM" "$it";; esac"#;
    let args = ["--count", "4", "--limit", "1", "--", "sh", "-c", script];
    let mut answerer = world.weft("ada", "answer", &args).spawn().unwrap();
    says(&mut answerer, "answering as").await;
    let mut told = lines_of(&mut answerer);
    let bob = world.identity("bob").await;
    let ask = async |what: &str, more: &[&str]| {
        let args: Vec<&str> = [&ada, what].iter().chain(more).copied().collect();
        let (code, out, errors) = run(world.weft("bob", "request", &args)).await;
        (code, serde_json::from_str::<Value>(&out).unwrap_or_else(|_| panic!("{out:?} {errors}")))
    };
    let (code, answer) = ask(r#"{"title":"Ran"}"#, &[]).await;
    assert_eq!((code, &answer["outcome"]), (0, &"answered".into()));
    assert_eq!(answer["data"], serde_json::json!({"for": bob, "was": {"title": "Ran"}}));
    let line = next_json(&mut told).await;
    assert_eq!((&line["from"], &line["answer"]), (&bob.into(), &answer["data"]));

    let (code, answer) = ask("plain", &[]).await;
    assert_eq!((code, &answer["data"]["text"]), (0, &"Ran".into()));
    let (code, answer) = ask("bad", &[]).await;
    assert_eq!(
        (code, &answer["outcome"], &answer["reason"]),
        (1, &"request-failed".into(), &"no such film".into())
    );
    let (code, answer) = ask("slow", &[]).await;
    assert_eq!((code, &answer["reason"]), (1, &"no answer within 1 s".into()));
    assert_eq!(soon(answerer.wait()).await.unwrap().code(), Some(0), "after four");

    // Whether it gets there or not: nobody answers it in time.
    let mut patient = world.weft("ada", "answer", &["--", "sleep", "60"]).spawn().unwrap();
    says(&mut patient, "answering as").await;
    let (code, answer) = ask("slow", &["--timeout", "0.3"]).await;
    assert_eq!((code, &answer["outcome"]), (4, &"timeout".into()));
    interrupt(&patient).await;
    assert_eq!(soon(patient.wait()).await.unwrap().code(), Some(0));

    let mut listener = world.weft("ada", "listen", &[]).spawn().unwrap();
    says(&mut listener, "listening as").await;
    let (code, answer) = ask("plain", &[]).await;
    assert_eq!((code, &answer["reason"]), (1, &"nobody answers requests there".into()));
    let nobody = weft_wire::IdentityId([1; 32]).to_string();
    let (code, out, _) = run(world.weft("bob", "request", &[&nobody, "plain", "--timeout", "20"])).await;
    assert_eq!(code, 3, "{out}");
}

#[tokio::test]
async fn a_command_that_does_not_listen_takes_no_messages() {
    let world = World::new().await;
    let ada = world.identity("ada").await;
    let mut peers = world.weft("bob", "peers", &["--watch"]).spawn().unwrap();
    let mut seen = lines_of(&mut peers);
    let _subscriber = world.weft("ada", "subscribe", &[]).spawn().unwrap();
    let linked = async { while next_json(&mut seen).await["linked"] != true {} };
    soon(linked).await;
    // This signaler keeps no mail, so there is nowhere to wait; nobody is told that somebody has read it.
    let (code, out, errors) = run(world.weft("bob", "send", &[&ada, "hello", "--timeout", "2"])).await;
    let sent: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 3, "{errors}");
    assert_eq!(sent["outcome"], "unreachable");
}

#[tokio::test]
async fn two_processes_with_one_directory_are_two_peers_of_one_identity() {
    let world = World::new().await;
    let mut listener = world.weft("ada", "listen", &[]).spawn().unwrap();
    says(&mut listener, "listening as").await;
    let mut watcher = world.weft("ada", "peers", &["--watch"]).spawn().unwrap();
    let mut seen = lines_of(&mut watcher);
    let other = soon(async {
        loop {
            let line = next_json(&mut seen).await;
            if line["linked"] == true && line["identity"].is_string() {
                return line;
            }
        }
    })
    .await;
    let (_, id, _) = run({
        let mut id = plain(&world.keys.path().join("ada"), "id");
        id.args(["--json", "--name", "Ada"]);
        id
    })
    .await;
    let id: Value = serde_json::from_str(&id).unwrap();
    assert_eq!((&other["identity"], &other["peer"]), (&id["identity"], &id["peers"][0]));
    assert_eq!(id["peers"].as_array().unwrap().len(), 2);
    assert_eq!(id["name"], "Ada");
    interrupt(&listener).await;
    let left = soon(async {
        loop {
            let line = next_json(&mut seen).await;
            if line["change"] == "left" {
                return line;
            }
        }
    })
    .await;
    assert_eq!(left["peer"], other["peer"]);
}

#[tokio::test]
async fn a_wrong_query_is_refused_with_its_path_before_anything_starts() {
    let world = World::new().await;
    for (query, what) in [("{\"a\":{\"$gtee\":1}}", "$.a"), ("{", "$"), ("[]", "$")] {
        let (code, out, errors) = run(world.weft("ada", "subscribe", &[query])).await;
        assert_eq!((code, out.as_str()), (2, ""), "{errors}");
        assert!(errors.contains(what), "{errors}");
    }
    let file = world.keys.path().join("query.json");
    let large = "x".repeat(3_000_000);
    for (text, what) in [("{\"a\":{\"$gtee\":1}}", "did you mean $gte?"), (&large, "more than 2097152 bytes")]
    {
        std::fs::write(&file, text).unwrap();
        let (code, _, errors) = run(world.weft("ada", "subscribe", &[&format!("@{}", file.display())])).await;
        assert!(code == 2 && errors.contains(what), "{errors}");
    }
    let (code, _, errors) = run(world.weft("ada", "subscribe", &["@no-such-file"])).await;
    assert!(code == 2 && errors.contains("no-such-file cannot be read"), "{errors}");
    assert!(!world.keys.path().join("ada").exists());
}

#[tokio::test]
async fn a_signaler_out_of_reach_is_told_once_and_the_time_limit_has_its_own_code() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("films.json");
    std::fs::write(&file, "{}").unwrap();
    // A port that was free a moment ago, and on which nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("ws://127.0.0.1:{port}");
    for what in ["publish", "subscribe", "peers"] {
        let mut command = plain(keys.path(), what);
        command.args(["--party", "test", "--signaler", &url, "--timeout", "1"]);
        if what == "publish" {
            command.arg(&file);
        }
        let (code, out, errors) = run(command).await;
        assert_eq!((code, out.as_str()), (4, ""), "{what}: {errors}");
        assert!(errors.contains("no signaler was reached"), "{what}: {errors}");
        assert_eq!(errors.matches("out of reach").count(), 1, "{what}: {errors}");
        assert!(errors.contains(&url), "{what}: {errors}");
    }
}

#[tokio::test]
async fn who_runs_out_of_time_is_told_what_was_missing() {
    let world = World::new().await;
    let file = world.keys.path().join("films.json");
    std::fs::write(&file, "{\"n\":1}").unwrap();
    let file = file.to_str().unwrap();
    for (command, args) in [("publish", &[file][..]), ("subscribe", &[]), ("listen", &["--count", "1"])] {
        let (code, _, errors) = run(world.weft("ada", command, &[args, &["--timeout", "1"]].concat())).await;
        assert_eq!(code, 4, "{command}: {errors}");
        assert!(errors.contains("nobody else is in party test"), "{command}: {errors}");
    }
    let mut seed = world.weft("bob", "publish", &["--stay", file]).spawn().unwrap();
    says(&mut seed, "serving 1 documents").await;
    let args = ["--backlog", "--count", "2", "--timeout", "5"];
    let (code, out, errors) = run(world.weft("ada", "subscribe", &args)).await;
    assert_eq!((code, out.lines().count()), (4, 1), "{errors}");
    assert!(errors.contains("1 of 2"), "{errors}");
}

#[tokio::test]
async fn who_has_nothing_to_publish_waits_for_nobody() {
    let world = World::new().await;
    let (code, _, errors) = run(world.weft("ada", "publish", &[])).await;
    assert_eq!((code, errors.contains("0 published")), (0, true), "{errors}");
    let file = world.keys.path().join("wrong.json");
    std::fs::write(&file, "no\nJSON\n").unwrap();
    let (code, _, errors) = run(world.weft("ada", "publish", &[file.to_str().unwrap()])).await;
    assert_eq!((code, errors.contains("0 published, 2 refused")), (1, true), "{errors}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_that_goes_away_ends_a_command_as_an_interrupt_does() {
    let world = World::new().await;
    for which in ["-HUP", "-TERM"] {
        let mut listener = world.weft("ada", "listen", &[]).spawn().unwrap();
        says(&mut listener, "listening as").await;
        signal(&listener, which).await;
        assert_eq!(soon(listener.wait()).await.unwrap().code(), Some(0), "{which}");
    }
}

#[tokio::test]
async fn a_name_that_is_too_long_is_a_wrong_command_line() {
    let keys = tempfile::tempdir().unwrap();
    let mut id = plain(keys.path(), "id");
    id.args(["--name", &"x".repeat(1000)]);
    let (code, _, errors) = run(id).await;
    assert_eq!((code, errors.contains("name")), (2, true), "{errors}");
}

#[tokio::test]
async fn a_missing_file_and_keys_that_are_none_are_failures_with_their_path() {
    let world = World::new().await;
    let (code, _, errors) = run(world.weft("ada", "publish", &["/nonexistent/films.json"])).await;
    assert_eq!(code, 1);
    assert!(errors.contains("/nonexistent/films.json"), "{errors}");
    let broken = world.keys.path().join("eve");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("identity.seed"), "nonsense").unwrap();
    let (code, _, errors) = run(world.weft("eve", "peers", &[])).await;
    assert_eq!(code, 1);
    assert!(errors.contains("identity.seed"), "{errors}");
}

#[tokio::test]
async fn q7_a_subscriber_gets_as_much_of_the_backlog_as_it_asks_for() {
    let world = World::new().await;
    let mut seed = world.weft("ada", "publish", &["--stay"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = seed.stdin.take().unwrap();
    for n in 0..9 {
        stdin.write_all(format!("{{\"n\":{n}}}\n").as_bytes()).await.unwrap();
    }
    drop(stdin);
    says(&mut seed, "serving 9").await;
    let numbers = |printed: &str| -> Vec<i64> {
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["data"]["n"].as_i64().unwrap();
        printed.lines().map(line).collect()
    };
    let (code, all, errors) = run(world.weft("bob", "subscribe", &["--backlog", "--count", "9"])).await;
    assert_eq!((code, numbers(&all)), (0, (0..9).collect()), "{errors}");
    let newest = ["--backlog-count", "3", "--count", "3"];
    let (code, some, errors) = run(world.weft("carl", "subscribe", &newest)).await;
    assert_eq!((code, numbers(&some)), (0, vec![6, 7, 8]), "{errors}");
    // Killed and started again without any input: what came from the pipe is there.
    signal(&seed, "-KILL").await;
    soon(seed.wait()).await.unwrap();
    let mut again = world.weft("ada", "publish", &["--stay"]).spawn().unwrap();
    says(&mut again, "serving 0").await;
    let (code, all, errors) = run(world.weft("dora", "subscribe", &["--backlog", "--count", "9"])).await;
    assert_eq!((code, numbers(&all)), (0, (0..9).collect()), "{errors}");
    let (code, printed, _) =
        run(world.weft("emil", "subscribe", &["--backlog-age", "0.001", "--timeout", "4"])).await;
    assert_eq!((code, numbers(&printed)), (0, vec![]));
}
