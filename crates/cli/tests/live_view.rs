//! The live view of `unthrottle smoke`, on a terminal as a person sees it.

#[path = "../../../tests/common/aws.rs"]
mod aws;
mod terminal;

use aws::Aws;
use pty_process::blocking::Command;
use terminal::Terminal;
use unthrottle_lab::local::{LocalAccount, Options};

/// Offers more than a stream of two shards takes. Afterwards shows the exit code, and how the terminal takes keys.
const SHELL: &str = "\"$0\" smoke orders --i-own orders --stages 15m@3x --ttl 1s --max-usd 9 </dev/tty & \
                     echo \"process $!\"; wait $!; echo \"code $?\"; stty -a";

fn smoke(account: &LocalAccount) -> Terminal {
    let command = Command::new("sh").args(["-c", SHELL, env!("CARGO_BIN_EXE_unthrottle")]).env_clear();
    let command = command.env("PATH", "/usr/bin:/bin").env("AWS_ENDPOINT_URL", account.url());
    let command = command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    Terminal::start(command.env("AWS_REGION", "us-east-1"))
}

/// An account with the stream `orders` of two shards.
async fn account() -> LocalAccount {
    let account = LocalAccount::start(Options::default()).await.expect("it starts");
    Aws::of(&account).create("orders", 2).await;
    account
}

/// The rate in a line such as ` refused         12/s        345`.
fn rate(screen: &str, name: &str) -> Option<f64> {
    let line = screen.lines().find(|line| line.trim_start().starts_with(name))?;
    line.split_whitespace().find_map(|word| word.strip_suffix("/s")?.replace(',', "").parse().ok())
}

fn wait_for_view(terminal: &Terminal) {
    terminal.wait_for("load", |screen| {
        let is_at = |name| rate(screen, name).is_some_and(|rate| rate > 0.0);
        is_at("offered") && is_at("accepted") && is_at("refused")
    });
}

/// The shell shows the terminal as it was before: its own screen, a cursor, and keys with an echo.
fn is_restored(terminal: &mut Terminal, code: &str) {
    terminal.wait_for("end", |screen| screen.contains(code) && screen.contains("echoe"));
    assert!(terminal.end().success());
    let screen = terminal.text();
    assert!(!terminal.is_whole() && terminal.has_cursor(), "{screen}");
    let modes: Vec<&str> = screen.split([' ', '\n', ';']).collect();
    assert!(modes.contains(&"echo") && modes.contains(&"icanon") && modes.contains(&"isig"), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_the_load_and_the_stream_and_stops_it_with_a_key() {
    let account = account().await;
    let mut terminal = smoke(&account);
    wait_for_view(&terminal);
    terminal.wait_for("first refusal", |screen| screen.contains("s  the first record is refused"));
    assert!(terminal.is_whole() && !terminal.has_cursor());
    let screen = terminal.text();
    for says in ["smoke orders for 900 s", "capacity", "2,000/s   2 shards, ACTIVE", "p99", "behind", " records/s "] {
        assert!(screen.contains(says), "no {says:?}:\n{screen}");
    }
    // A reshard of another person shows, too.
    Aws::of(&account).reshard("orders", 4).await.expect("it is accepted");
    terminal.wait_for("new capacity", |screen| screen.contains("4,000/s   4 shards, ACTIVE"));
    terminal.press("\u{3}");
    terminal.wait_for("stop", |screen| screen.contains("for at most 8 s. Ctrl-C ends this at once"));
    is_restored(&mut terminal, "code 0");
    // Each line of the result stands below the others, also if the first ones have left the screen.
    let screen = terminal.text();
    let names = ["accepted    ", "refused     ", "latency     "];
    let columns = screen.lines().filter_map(|line| names.iter().find_map(|name| line.find(name)));
    let columns: Vec<usize> = columns.collect();
    assert!(!columns.is_empty() && columns.iter().all(|column| *column == 2), "{screen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_as_before_after_sigterm() {
    let account = account().await;
    let mut terminal = smoke(&account);
    terminal.wait_for("process", |screen| screen.contains("process "));
    let screen = terminal.text();
    let process = screen.split_whitespace().skip_while(|word| *word != "process").nth(1).expect("its number");
    wait_for_view(&terminal);
    let killed = std::process::Command::new("kill").args(["-TERM", process]).status();
    assert!(killed.expect("kill runs").success());
    is_restored(&mut terminal, "code 0");
}
