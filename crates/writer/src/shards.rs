//! The stream to write to, and its open shards.

use crate::aggregate::Shard;
use crate::answer;
use crate::request::Answer;
use aws_sdk_kinesis::types::{ShardFilter, ShardFilterType};
use tokio::task::JoinHandle;

/// The stream to write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Its name.
    Name(String),
    /// Its ARN.
    Arn(String),
}

/// Why the shards cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Another attempt may succeed.
    NotYet(String),
    /// Another attempt would fail, too.
    Never(String),
}

/// The result of a call that reads the shards; `None`: it failed.
pub(crate) async fn read_of(shards: &mut Option<JoinHandle<Result<Vec<Shard>, Unread>>>) -> Option<Vec<Shard>> {
    match shards {
        Some(read) => read.await.ok()?.ok(),
        None => std::future::pending().await,
    }
}

/// The open shards of a stream.
///
/// # Errors
/// ListShards fails, or its answer cannot be used.
pub(crate) async fn open_shards(client: aws_sdk_kinesis::Client, target: Target) -> Result<Vec<Shard>, Unread> {
    let never = |problem: &str| Unread::Never(format!("ListShards: {problem}"));
    let open = ShardFilter::builder().r#type(ShardFilterType::AtLatest).build();
    let open = open.map_err(|error| never(&error.to_string()))?;
    let (mut shards, mut token) = (vec![], None);
    loop {
        let call = client.list_shards();
        // A page names the stream and the filter by its token.
        let call = match (&token, &target) {
            (Some(_), _) => call.set_next_token(token),
            (None, Target::Name(name)) => call.stream_name(name).shard_filter(open.clone()),
            (None, Target::Arn(arn)) => call.stream_arn(arn).shard_filter(open.clone()),
        };
        let page = call.send().await.map_err(|error| unread(answer::failure(&error)))?;
        for shard in page.shards() {
            let hash = |text: &str| text.parse::<u128>().map_err(|_| never(&format!("`{text}` is no hash key")));
            let range = shard.hash_key_range().ok_or_else(|| never("a shard without hash keys"))?;
            let (first, last) = (hash(range.starting_hash_key())?, hash(range.ending_hash_key())?);
            shards.push(Shard { id: shard.shard_id().to_owned(), first, last });
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(shards);
        }
    }
}

fn unread(failure: Answer) -> Unread {
    match failure {
        Answer::NotSent(cause) | Answer::NotDone(cause) | Answer::Unknown(cause) => {
            Unread::NotYet(format!("ListShards: {cause}"))
        }
        Answer::Fatal(cause) => Unread::Never(format!("ListShards: {cause}")),
        Answer::Records(_) => Unread::Never("ListShards: an answer of another call".into()),
    }
}
