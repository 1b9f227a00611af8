//! The files that a person gives to commands: wrong ones end with 2, and standard input is a file, too.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use unthrottle_lab::local::{LocalAccount, Options};

/// An event that is decided without a stream, so that its replay takes no time.
const EVENT: &str = "events/alarm_back_to_ok__recovered.json";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Exit code, standard output and standard error of a command that reads `input`.
fn run(args: &[&str], input: &[u8]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_unthrottle"));
    command.args(args).current_dir(root()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let out = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (out.status.code().expect("an exit code"), text(out.stdout), text(out.stderr))
}

/// A decision document in a log line.
const LINE: &str = r#"2026-11-20T17:04:12 {"decision":{"outcome":"held","code":"healthy","sentence":"orders: fine.",
"evidence":{"shards_needed":1200},"stream":{"name":"orders"}}}"#;

const PAST: &str = "2026-11-20T00:00:00Z,500000,1000,0\n2026-11-20T00:01:00Z,500000,1000,0\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_and_bytes_that_are_no_text_are_bad_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = folder.path().join("bytes");
    std::fs::write(&bytes, b"\x80\x81").expect("written");
    let (folder, bytes) = (folder.path().display().to_string(), bytes.display().to_string());
    for path in [folder.as_str(), bytes.as_str(), "none.json"] {
        for command in [&["replay"][..], &["runbook"], &["backtest", "--csv"]] {
            let (code, out, err) = run(&[command, &[path]].concat(), b"");
            assert_eq!((code, out.as_str()), (2, ""), "{command:?} {path}: {err}");
            assert!(err.contains(path), "{command:?} {path}: {err}");
        }
    }
    let account = LocalAccount::start(Options::default()).await.expect("a free port");
    account.add_streams(["orders".to_owned()], 1, &[]).await;
    let (code, _, err) = run(&["put", "orders", &folder, "--endpoint-url", account.url()], b"");
    assert!(code == 2 && err.contains(&folder), "{code}: {err}");
}

#[test]
fn standard_input_is_a_file_with_or_without_a_mark_at_its_beginning() {
    let event = std::fs::read(root().join(EVENT)).expect("readable");
    for mark in [&b""[..], b"\xEF\xBB\xBF"] {
        let with = |text: &[u8]| [mark, text].concat();
        let (code, out, err) = run(&["replay", "-"], &with(&event));
        assert!(code == 0 && out.contains("decision: recovered"), "{out}{err}");
        let (code, out, err) = run(&["runbook", "-"], &with(LINE.as_bytes()));
        assert!(code == 0 && out.contains("| orders | shards needed | 1,200 |"), "{out}{err}");
        let (code, out, err) = run(&["backtest", "--csv", "-"], &with(PAST.as_bytes()));
        assert!(code == 0 && out.contains("stdin: 2026-11-20 00:00"), "{out}{err}");
    }
    let (code, _, err) = run(&["replay", "-"], b"{");
    assert!(code == 2 && err.contains("stdin: not JSON"), "{err}");
}

#[test]
fn a_page_that_cannot_be_written_fails_before_the_work() {
    // The whole arena takes minutes. The check must not wait for it, so nothing is printed before the error.
    let (code, out, err) = run(&["arena", "--report", "none/page.html"], b"");
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("none/page.html: cannot be written"), "{err}");
    // No server answers there, so an error of the page comes before the first call.
    let (code, out, err) = run(&["report", "--html", "none/page.html", "--endpoint-url", "http://127.0.0.1:1"], b"");
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("none/page.html: cannot be written"), "{err}");
}

#[test]
fn a_proof_that_is_no_text_of_a_person_is_not_read_whole() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    // Without a byte on the disk.
    file.as_file().set_len((256 << 20) + 1).expect("long");
    let path = file.path().to_str().expect("text");
    let (code, out, err) = run(&["arena", "--workload", "step-2", "--calibrate", path], b"");
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("larger than 256 MiB"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_without_a_document_is_refused_with_what_has_one() {
    let line = b"02:28:14 alarm: scale_shards (acted): orders: 218,300 records refused in 1 of 5 minutes\n";
    let (code, out, err) = run(&["runbook", "-"], line);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    let says = err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(says.contains("stdin: holds no decision document") && says.contains("`unthrottle sweep --json`"), "{says}");
}
