use super::*;
use crate::feed::feed;
use std::time::{Duration, Instant};

/// No test waits this long on any machine that is alive.
const PATIENCE: Duration = Duration::from_secs(240);

/// All items of a text, and what was read.
async fn items(text: &[u8], form: Form, rule: KeyRule) -> (Vec<Item>, Result<Input, InputError>) {
    let (sender, mut feed) = feed();
    let source = Source {
        name: "orders.jsonl".into(),
        reader: Box::new(io::Cursor::new(text.to_vec())),
        has_more: Box::new(|| false),
    };
    let reader = tokio::task::spawn_blocking(move || {
        let input = Mutex::new(Input::default());
        read(source, form, &rule, &sender, &input).map(|()| lock(&input).clone())
    });
    let mut items = vec![];
    while let Some(group) = feed.next().await {
        items.extend(group);
    }
    (items, reader.await.expect("no panic"))
}

fn data(items: &[Item]) -> Vec<(u64, &[u8])> {
    let of = |item: &Item| match item {
        Item::Record(record) | Item::Rejected(record, _) => record.clone(),
    };
    let numbers = items.iter().map(|item| of(item).origin.line);
    let data = items.iter().map(|item| match item {
        Item::Record(record) | Item::Rejected(record, _) => record.data.as_slice(),
    });
    numbers.zip(data).collect()
}

#[tokio::test]
async fn each_line_is_a_record_with_its_number_whatever_its_bytes_and_its_end() {
    let (items, input) = items(b"a\r\n\n\xff\xfe\nlast", Form::Raw, KeyRule::Random).await;
    assert_eq!(data(&items), [(1, b"a".as_slice()), (3, b"\xff\xfe"), (4, b"last")]);
    assert_eq!(input.expect("read").last.expect("a line").to_string(), "orders.jsonl:4");
}

#[tokio::test]
async fn a_mark_at_the_beginning_belongs_to_no_record() {
    let (items, _) = items(b"\xEF\xBB\xBFa\n\xEF\xBB\xBFb\n", Form::Raw, KeyRule::Random).await;
    assert_eq!(data(&items), [(1, b"a".as_slice()), (2, b"\xEF\xBB\xBFb")]);
}

#[tokio::test]
async fn a_line_that_is_not_base64_is_rejected_and_the_rest_goes_on() {
    let (items, _) = items(b"aGk=\n!\naGk=\n", Form::Base64, KeyRule::Random).await;
    assert_eq!(data(&items), [(1, b"hi".as_slice()), (2, b"!"), (3, b"hi")]);
    assert!(matches!(&items[1], Item::Rejected(_, Why::NotBase64(problem)) if problem.contains("base64")), "{items:?}");
}

#[tokio::test]
async fn a_line_beyond_every_limit_is_counted_and_not_kept() {
    let mut text = vec![b'x'; LONGEST_LINE + 10];
    text.extend(b"\nnext\n");
    let (items, _) = items(&text, Form::Raw, KeyRule::Random).await;
    assert!(matches!(&items[0], Item::Rejected(_, Why::TooLong(bytes)) if *bytes == LONGEST_LINE as u64 + 10));
    assert_eq!(data(&items)[1], (2, b"next".as_slice()));
}

#[tokio::test]
async fn dead_letters_are_found_by_their_first_line_and_a_broken_one_names_its_line() {
    let letters = "{\"unthrottle_dead_letters\":1}\n{\"data\":\"aGk=\",\"partition_key\":\"k\"}\n";
    let joined = format!("{letters}{letters}{{\"data\":1}}\n");
    let (items, input) = items(joined.as_bytes(), Form::Raw, KeyRule::FieldOrLiteral("x".into())).await;
    assert_eq!(data(&items), [(2, b"hi".as_slice()), (4, b"hi")]);
    let problem = input.expect_err("broken").to_string();
    assert!(problem.starts_with("orders.jsonl:5: not a dead letter"), "{problem}");
}

/// Gives each part of a text to one call, and then waits for `goes_on`. Says when it waits.
struct Parts {
    parts: std::vec::IntoIter<&'static [u8]>,
    waits: std::sync::mpsc::Sender<()>,
    goes_on: std::sync::mpsc::Receiver<()>,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = self.parts.next().unwrap_or_else(|| {
            let _ = self.waits.send(());
            let _ = self.goes_on.recv();
            b"late\n"
        });
        buffer[..part.len()].copy_from_slice(part);
        Ok(part.len())
    }
}

#[tokio::test]
async fn bytes_that_come_after_a_stop_become_no_record_and_are_said() {
    let (sender, mut feed) = feed();
    let (waits, is_waiting) = std::sync::mpsc::channel();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    let reader = Box::new(Parts { parts: vec![b"a\n".as_slice()].into_iter(), waits, goes_on });
    let source = Source { name: "stdin".into(), reader, has_more: Box::new(|| false) };
    let input = Arc::new(Mutex::new(Input::default()));
    let counts = input.clone();
    let reading = tokio::task::spawn_blocking(move || read(source, Form::Raw, &KeyRule::Random, &sender, &counts));
    let mut items = feed.next().await.expect("records");
    tokio::task::spawn_blocking(move || is_waiting.recv()).await.expect("no panic").expect("it waits");
    items.extend(feed.close(Instant::now() + PATIENCE).await);
    assert_eq!(lock(&input).has_more, None, "it waits");
    drop(go_on);
    reading.await.expect("no panic").expect("read");
    assert_eq!((data(&items), lock(&input).has_more), (vec![(1, b"a".as_slice())], Some(true)));
}

#[tokio::test]
async fn the_complete_lines_that_were_read_before_a_stop_become_records_and_the_rest_is_said() {
    for (rest, is_left, is_said) in [("", false, false), ("cut", false, true), ("", true, true)] {
        // More groups than the feed takes, in a single read: the reader still has some when the writer stops.
        let text = "x\n".repeat(4000) + rest;
        let (sender, mut feed) = feed();
        let reader = Box::new(io::Cursor::new(text.into_bytes()).chain(Never));
        let source = Source { name: "stdin".into(), reader, has_more: Box::new(move || is_left) };
        let input = Arc::new(Mutex::new(Input::default()));
        let counts = input.clone();
        let reading = tokio::task::spawn_blocking(move || read(source, Form::Raw, &KeyRule::Random, &sender, &counts));
        let mut items = feed.next().await.expect("records");
        items.extend(feed.close(Instant::now() + PATIENCE).await);
        reading.await.expect("no panic").expect("read");
        let input = lock(&input).clone();
        assert_eq!((items.len(), input.has_more, input.finished), (4000, Some(is_said), 0), "{rest:?}");
        assert_eq!(input.last.expect("a line").line, 4000);
    }
}

/// A source that must not be asked.
struct Never;

impl Read for Never {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("it reads after the stop")
    }
}

/// Lines of one length without an end. Keeps the bytes that each read asks for.
struct Endless {
    line: Vec<u8>,
    asked: Arc<Mutex<Vec<usize>>>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.asked.lock().expect("no panic").push(buffer.len());
        let whole = buffer.len() / self.line.len() * self.line.len();
        buffer[..whole].iter_mut().zip(self.line.iter().cycle()).for_each(|(to, from)| *to = *from);
        Ok(whole)
    }
}

#[tokio::test]
async fn a_read_has_as_many_lines_as_a_group_so_that_a_stop_leaves_few_short_ones() {
    for (length, first, next) in [(2, FIRST_READ, 500), (16, FIRST_READ, 4000), (1000, FIRST_READ, READ_BYTES)] {
        let (sender, mut feed) = feed();
        let asked = Arc::new(Mutex::new(vec![]));
        let line = ["x".repeat(length - 1), "\n".into()].concat().into_bytes();
        let reader = Box::new(Endless { line, asked: asked.clone() });
        let source = Source { name: "stdin".into(), reader, has_more: Box::new(|| true) };
        let reading = tokio::task::spawn_blocking(move || {
            read(source, Form::Raw, &KeyRule::Random, &sender, &Mutex::new(Input::default()))
        });
        for _ in 0..20 {
            feed.next().await.expect("records");
        }
        feed.close(Instant::now() + PATIENCE).await;
        reading.await.expect("no panic").expect("read");
        let asked = asked.lock().expect("no panic").clone();
        assert_eq!((asked[0], &asked[1..3]), (first, &[next; 2][..]), "lines of {length} bytes");
    }
}
