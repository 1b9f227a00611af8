//! The progress of `unthrottle put`, on a terminal as a person sees it.

use crate::fixture::Fixture;
use crate::terminal::Terminal;
use pty_process::blocking::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_the_counts_on_one_line_and_then_the_summary_in_its_place() {
    let fixture = Fixture::of_a_standing_shard().await;
    let path = fixture.file("in.txt", (0..1500).map(|n| format!("{n}\n")).collect::<String>());
    let args = ["put", "orders", path.to_str().expect("text"), "--ttl", "1h", "--max-retries", "1000000"];
    let command = Command::new(env!("CARGO_BIN_EXE_unthrottle")).args(args).env_clear();
    let command = command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    let command = command.env("AWS_REGION", "us-east-1").env("AWS_ENDPOINT_URL", fixture.account.url());
    let mut terminal = Terminal::start(command);
    let counts = |line: &&str| line.starts_with("1,000 accepted (") && line.contains("/s), 500 on their way, ");
    terminal.wait_for("counts", |screen| screen.lines().any(|line| counts(&line)));
    let screen = terminal.text();
    assert_eq!(screen.lines().filter(|line| line.contains("accepted (")).count(), 1, "{screen}");
    assert!(screen.lines().find(counts).is_some_and(|line| line.ends_with(" refused, 0 lost")), "{screen}");
    terminal.press("\u{3}");
    terminal.wait_for("stop", |screen| screen.contains("stopping: 500 records on the way, for at most 8 s"));
    // A key that comes later than a second after the first is a second stop.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    terminal.press("\u{3}");
    assert_eq!(terminal.end().code(), Some(1));
    let screen = terminal.text();
    assert!(screen.contains("  accepted    1,000 of 1,500 records"), "{screen}");
    assert!(!screen.contains("on their way"), "{screen}");
}
