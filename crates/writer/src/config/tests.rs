use super::*;

fn variable(name: &str) -> Option<String> {
    let value = match name {
        "AWS_ACCESS_KEY_ID" => "AKIA",
        "AWS_SECRET_ACCESS_KEY" => "se: cr\"et",
        "AWS_SESSION_TOKEN" => "token",
        "STAGE" => "prod",
        "EMPTY" => "",
        _ => return None,
    };
    Some(value.to_owned())
}

fn config(text: &str) -> Config {
    parse(text, &variable).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}

fn error(text: &str) -> String {
    parse(text, &variable).map(|config| format!("{config:?}")).expect_err(text).to_string()
}

/// A file with these lines in `aws_kinesis`.
fn kinesis(lines: &str) -> String {
    format!("output:\n  aws_kinesis:\n    stream_name: events\n    {}\n", lines.replace('\n', "\n    "))
}

#[test]
fn the_whole_example_is_read() {
    let config = config(
        r#"
output:
  retry: {max_retries: 5, initial_wait: "2s", backoff: "exponential"}
  aws_kinesis:
    stream_name: "events"
    partition_key: "customer_id"
    region: "us-west-2"
    endpoint_url: "http://localhost:4566"
    credentials: {access_key_id: "${AWS_ACCESS_KEY_ID}", secret_access_key: "${AWS_SECRET_ACCESS_KEY}"}
    batch: {size: 500, duration: "5s"}
"#,
    );
    let credentials =
        Credentials { access_key_id: "AKIA".into(), secret_access_key: "se: cr\"et".into(), session_token: None };
    let expected = Config {
        stream_name: "events".into(),
        partition_key: Some("customer_id".into()),
        region: Some("us-west-2".into()),
        endpoint_url: Some("http://localhost:4566".into()),
        credentials: Some(credentials),
        batch: Batch { size: 500, duration: Duration::from_secs(5), max_bytes: 5 << 20 },
        retry: Retry {
            max_retries: 5,
            initial_wait: Duration::from_secs(2),
            max_wait: Duration::from_secs(30),
            backoff: Backoff::Exponential,
        },
        warnings: vec![],
        lines: [("stream_name", 5), ("region", 7), ("endpoint_url", 8), ("credentials", 9)].into(),
    };
    assert_eq!(config, expected);
    assert_eq!(config.place("region").as_deref(), Some("7: `output.aws_kinesis.region`"));
    assert_eq!(config.place("partition_key"), None, "a fault of it is found when the file is read");
    assert!(!format!("{config:?}").contains("cr\\\"et"), "no log shows the secret");
}

#[test]
fn the_shortest_example_has_the_documented_defaults() {
    let config = config("output:\n  aws_kinesis:\n    stream_name: \"events\"\n");
    assert_eq!((config.partition_key, config.region, config.endpoint_url), (None, None, None));
    assert!(config.credentials.is_none() && config.warnings.is_empty());
    assert_eq!(config.batch.duration, Duration::from_secs(5));
    assert_eq!(config.batch.max_bytes, 5 << 20);
    let seconds = (config.retry.initial_wait.as_secs(), config.retry.max_wait.as_secs());
    assert_eq!((config.retry.max_retries, seconds, config.retry.backoff), (3, (1, 30), Backoff::Exponential));
}

#[test]
fn retries_stand_beside_or_under_the_output_and_not_twice() {
    let retry = "retry:\n  max_retries: 7\n  initial_wait: 10ms\n  max_wait: 1m\n  backoff: linear\n";
    let base = "output:\n  aws_kinesis:\n    stream_name: events\n";
    let indented = |by: &str| retry.lines().map(|line| format!("{by}{line}\n")).collect::<String>();
    for text in [format!("{retry}{base}"), format!("{base}{}", indented("  ")), format!("{base}{}", indented("    "))] {
        let retry = config(&text).retry;
        assert_eq!((retry.max_retries, retry.backoff), (7, Backoff::Linear), "{text}");
        assert_eq!(retry.max_wait, Duration::from_secs(60), "{text}");
    }
    let twice = error(&format!("{base}{}{}", indented("    "), indented("  ")));
    assert_eq!(twice, "5: `output.aws_kinesis.retry` and `output.retry` are both given: give one");
}

#[test]
fn inputs_and_processors_are_ignored_aloud() {
    for input in [
        "http_server:\n    path: /post\n    allowed_verbs: [POST]",
        "kafka:\n    addresses: [\"localhost:9092\"]\n    topics: [orders]\n    consumer_group: put",
        "amqp_0_9:\n    urls: [\"amqp://guest:guest@localhost:5672/\"]\n    queue: orders",
        "stdin: {}",
        "stdin:\n    scanner:\n      lines: {}",
    ] {
        let pipeline = "pipeline:\n  processors:\n    - mapping: |\n        root = this\n        root.at = now()\n";
        let config = config(&format!("input:\n  {input}\n{pipeline}{}", kinesis("region: eu-west-1")));
        let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings.len(), 2, "{input}: {warnings:?}");
        assert!(
            warnings[0].contains("`input` is ignored") && warnings[1].contains("`pipeline` is ignored"),
            "{input}: {warnings:?}"
        );
        assert_eq!((config.stream_name.as_str(), config.region.as_deref()), ("events", Some("eu-west-1")), "{input}");
    }
}

#[test]
fn a_batch_beyond_the_limits_of_aws_is_capped_and_says_so() {
    let config = config(&kinesis("batch: {size: 1000, max_batch_bytes: 99000000}"));
    assert_eq!((config.batch.size, config.batch.max_bytes), (MAX_BATCH_SIZE, MAX_BATCH_BYTES));
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert!(warnings[0].contains("`output.aws_kinesis.batch.size` is 1000; AWS takes at most 500"), "{warnings:?}");
    assert_eq!(warnings.len(), 2);
}

#[test]
fn a_wrong_value_names_its_line_and_its_field() {
    for (lines, says) in [
        ("batch:\n  size: 0", "5: `output.aws_kinesis.batch.size`: `0` must be a whole number from 1 on"),
        ("batch:\n  size: many", "5: `output.aws_kinesis.batch.size`: `many` must be"),
        ("batch:\n  duration: \"5 parsecs\"", "5: `output.aws_kinesis.batch.duration`: `5 parsecs` is no duration"),
        ("batch:\n  max_batch_bytes: -1", "5: `output.aws_kinesis.batch.max_batch_bytes`: `-1` must be"),
        ("retry:\n  backoff: cubic", "5: `output.aws_kinesis.retry.backoff`: `cubic` must be constant, linear or"),
        ("retry: {max_retries: 1.5}", "4: `output.aws_kinesis.retry.max_retries`: `1.5` must be a whole number"),
        ("partition_key: \"\"", "4: `output.aws_kinesis.partition_key`: is empty"),
        ("region: \"${EMPTY}\"", "4: `output.aws_kinesis.region`: is empty"),
        ("region: \"${NOWHERE}\"", "4: `output.aws_kinesis.region`: the environment variable `NOWHERE` is not set"),
        ("region: \"${A B}\"", "4: `output.aws_kinesis.region`: `${A B}`: `A B` is no name"),
        ("region: \"${A\"", "4: `output.aws_kinesis.region`: a `${` has no `}`"),
        ("endpoint_url: localhost:4566", "4: `output.aws_kinesis.endpoint_url` is `localhost:4566`: give http://"),
        ("credentials:\n  access_key_id: A", "`output.aws_kinesis.credentials` needs `secret_access_key`"),
        ("credentials:\n  secret_access_key: A", "`output.aws_kinesis.credentials` needs `access_key_id`"),
    ] {
        let problem = error(&kinesis(lines));
        assert!(problem.contains(says), "{problem}\n{says}");
    }
}

#[test]
fn an_unknown_key_and_broken_yaml_name_their_line() {
    let unknown = error(&kinesis("strem: x"));
    assert!(unknown.starts_with("4: unknown field `strem`") && unknown.contains("stream_name"), "{unknown}");
    assert!(error("output:\n  kafka:\n    topic: x\n").starts_with("2: unknown field `kafka`"));
    assert!(error(&kinesis("batch: {count: 1}")).starts_with("4: unknown field `count`"));
    assert!(error("metrics: {}\noutput: {}\n").starts_with("1: unknown field `metrics`"));
    assert!(error("output:\n  aws_kinesis: {}\n").contains("missing field `stream_name`"));
    assert!(error("output:\n  aws_kinesis: [\n").contains(": "));
    let twice = error(&kinesis("region: a\nregion: b"));
    assert!(twice.starts_with("5: ") && twice.contains("region"), "{twice}");
}

#[test]
fn text_stays_text_and_variables_stand_anywhere_in_it() {
    let config =
        config(&kinesis("partition_key: 007\nregion: \"eu-${STAGE}-1\"\nbatch: {size: \"50\", duration: 1m30s}"));
    assert_eq!((config.partition_key.as_deref(), config.region.as_deref()), (Some("007"), Some("eu-prod-1")));
    assert_eq!((config.batch.size, config.batch.duration), (50, Duration::from_secs(90)));
}

#[test]
fn what_is_no_such_file_is_said_in_words_of_the_file_and_with_its_field() {
    let section = "must be a section: lines of `name: value`, indented below it";
    let value = "must be a single value, not a list or a section";
    for (text, says) in [
        (String::new(), "1: the file is empty".to_owned()),
        ("- a\n".into(), format!("1: the file {section}")),
        ("output:\n".into(), format!("1: `output` {section}")),
        ("output: 5\n".into(), format!("1: `output` {section}")),
        (kinesis("batch: 5"), format!("4: `batch` {section}")),
        (kinesis("batch:\n  - size"), format!("5: `batch` {section}")),
        (kinesis("credentials: {access_key_id: A, session_token: [B]}"), format!("4: `session_token` {value}")),
        (kinesis("region: {a: b}"), format!("4: `region` {value}")),
        (kinesis("batch:\n  size:\n    - 5"), format!("6: `size` {value}")),
        (kinesis("region: a\nregion: b"), "5: duplicate mapping key `region` is not allowed here".into()),
    ] {
        let problem = error(&text);
        assert_eq!(problem, says, "{text}");
        for word in ["DuplicateKeyPolicy", "from_str", "mapping start", "scalar"] {
            assert!(!problem.contains(word), "{problem}");
        }
    }
    let two = error(&format!("{0}---\n{0}", kinesis("region: a")));
    assert!(two.contains("document") && !two.contains("from_"), "{two}");
}

#[test]
fn a_duration_beyond_a_year_is_refused() {
    for text in ["292277026596y", "367d", "99999999999999999999s"] {
        let problem = duration(text).expect_err(text);
        assert!(problem.contains(text) && problem.contains("is no duration"), "{problem}");
    }
    assert!(duration("292277026596y").is_err_and(|why| why.contains("longer than a year")));
    assert_eq!(duration("366d"), Ok(LONGEST));
}

#[test]
fn what_is_wrong_with_a_duration_is_said_in_words() {
    for (text, why) in [
        ("", "it is empty"),
        ("soon", "it does not begin with a number"),
        ("-5s", "it does not begin with a number"),
        ("5s min", "a number is missing before a unit"),
        ("5", "the unit is missing"),
        ("5 parsecs", "`parsecs` is no unit"),
        ("5.s!", "it has a character that is of no number and of no unit"),
        ("99999999999999999999s", "the number is too large"),
    ] {
        let problem = duration(text).expect_err(text);
        assert!(problem.contains(why), "{text}: {problem}");
    }
}
