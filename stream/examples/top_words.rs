//! The three most frequent words of standard input so far, after each line: shards count, tell the
//! first one their own best words in one round of messages, and it says which are the best of all.

use std::cmp::{Ordering, Reverse};

use dunlin_stream::wire::DecodeError;
use dunlin_stream::*;

#[path = "word_count.rs"]
#[allow(dead_code, reason = "its router and its operator are used")]
mod word_count;
use word_count::Counts;

const K: usize = 3;
pub(crate) type Best = Vec<(Reverse<u64>, CompactString)>;

#[derive(Default)]
pub(crate) struct TopWords {
    counts: Counts,
    best: Best,
}

impl Operator for TopWords {
    type Batch<'a> = &'a Strings;
    type Message = Best;
    type Output = Best;
    const ROUNDS: usize = 1;

    fn apply(&mut self, epoch: Epoch, words: &Strings, _: &mut Vec<Best>) {
        self.counts.apply(epoch, words, &mut Vec::new());
    }

    fn exchange(&mut self, inbox: Vec<Letter<Best>>, mail: &mut Mail<'_, Best>) {
        if mail.round == 0 {
            let count = |(word, &count): (&str, &u64)| (Reverse(count), word.into());
            mail.send(0, best(self.counts.0.iter().map(count).collect()));
        } else {
            self.best = best(inbox.into_iter().flat_map(|letter| letter.message).collect());
        }
    }

    fn end_epoch(&mut self, _: Epoch, _: Timestamp, out: &mut Vec<Best>) {
        self.counts.0.take_touched();
        out.extend(Some(std::mem::take(&mut self.best)).filter(|best| !best.is_empty()));
    }

    fn snapshot(&self) -> Vec<u8> {
        self.counts.snapshot()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        self.counts.restore(state)
    }

    fn split(&mut self, at: Key, upper: &mut Self) {
        self.counts.split(at, &mut upper.counts);
    }

    fn merge(&mut self, upper: Self) {
        self.counts.merge(upper.counts);
    }
}

fn best(mut words: Best) -> Best {
    words.sort_unstable();
    words.truncate(K);
    words
}

pub(crate) struct Top;

impl Topology for Top {
    type Router = ByHash;
    type Operator = TopWords;

    fn router(&self, _: usize) -> ByHash {
        ByHash
    }

    fn operator(&self) -> TopWords {
        TopWords::default()
    }

    fn order(_: &Best, _: &Best) -> Ordering {
        Ordering::Equal // one shard alone emits
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    word_count::run(Top, 4)
}
