//! Counts the words of standard input, a line an epoch: the smallest topology. Words are routed by
//! their hash; each shard says how often the words of the epoch have come so far.

use std::cmp::Ordering;

use dunlin_stream::wire::DecodeError;
use dunlin_stream::*;

#[derive(Default)]
pub(crate) struct Counts(pub(crate) KeyedState<u64>);

impl Operator for Counts {
    type Batch<'a> = &'a Strings;
    type Message = ();
    type Output = (CompactString, u64);

    fn apply(&mut self, _: Epoch, words: &Strings, _: &mut Vec<Self::Output>) {
        words.iter().for_each(|word| *self.0.touch(word) += 1);
    }

    fn end_epoch(&mut self, _: Epoch, _: Timestamp, out: &mut Vec<Self::Output>) {
        out.extend(self.0.take_touched());
    }

    fn snapshot(&self) -> Vec<u8> {
        self.0.snapshot()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), DecodeError> {
        self.0.restore(state)
    }

    fn split(&mut self, at: Key, upper: &mut Self) {
        self.0.split(at, &mut upper.0);
    }

    fn merge(&mut self, upper: Self) {
        self.0.merge(upper.0);
    }
}

pub(crate) struct WordCount;

impl Topology for WordCount {
    type Router = ByHash;
    type Operator = Counts;

    fn router(&self, _: usize) -> ByHash {
        ByHash
    }

    fn operator(&self) -> Counts {
        Counts::default()
    }

    fn order(a: &(CompactString, u64), b: &(CompactString, u64)) -> Ordering {
        a.cmp(b)
    }
}

/// Runs a topology of words over standard input, a line an epoch, and prints what it says.
pub(crate) fn run<T>(topology: T, shards: u32) -> Result<(), Box<dyn std::error::Error>>
where
    T: Topology<Router = ByHash>,
    OutputOf<T>: std::fmt::Debug,
{
    let setup = Setup::new("words", 1, Guarantee::Precise);
    let setup = Setup { epoch_ms: 1, shards: ShardTable::even(shards), ..setup };
    let (mut process, mut source) = Process::in_memory(topology, setup)?;
    for (line, millis) in std::io::stdin().lines().zip(0..) {
        let words: Strings = line?.split_whitespace().collect();
        source.send(0, Timestamp::from_millis(millis)?, &words)?;
        source.tick(Timestamp::from_millis(millis + 1)?)?;
        process.advance(|epoch| println!("{:?}", epoch.outputs))?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    run(WordCount, 1)
}
