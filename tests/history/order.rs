//! Whether a history is that of one engine that does one thing after the other, each between question and answer.
//!
//! The order need not be searched: the sequence numbers claim one. It is replayed on a plain map, and everything that
//! was answered must be true in a state that the order permits.

use crate::engine::{Event, History, LOG, TABLE, THREADS, Tick, What};
use hallpass::store::engine::{Batch, Expect, Key, Op, Outcome, Record};
use std::collections::BTreeMap;

/// Every caller waits for its batch, so a group has one of each at most.
const GROUP_MAX: usize = THREADS as usize;

/// Where a slot of the witness says how far the store has come.
const SLOT_BYTES: usize = 512;
const SEQUENCE_AT: usize = 41;

type State = BTreeMap<Key, Record>;

/// The committed batches in their order: the one at index `n` leads to state `n + 1`.
struct Order<'h> {
    /// The sequence of the first one.
    first: u64,
    batches: Vec<(&'h Event, &'h Batch)>,
    states: Vec<State>,
    /// When a state was known to be reached: a commit answered, or a read that saw it.
    reached: Vec<(Tick, usize)>,
}

pub fn check(history: &History) -> Result<(), String> {
    let order = Order::claimed(history)?;
    order.keeps_real_time()?;
    for event in &history.events {
        order.explains(event).map_err(|fault| format!("{fault}: {event:?}"))?;
    }
    order.publishes(history)?;
    let left: State = history.left.iter().cloned().collect();
    let last = order.states.last().expect("the empty state");
    if left == *last { Ok(()) } else { Err(format!("opened again there is {left:?} instead of {last:?}")) }
}

impl<'h> Order<'h> {
    fn claimed(history: &'h History) -> Result<Self, String> {
        let mut by_sequence = BTreeMap::new();
        for event in &history.events {
            let What::Commit(batch, Outcome::Committed(sequence)) = &event.what else { continue };
            if !batch.ops.is_empty() && by_sequence.insert(*sequence, (event, batch)).is_some() {
                return Err(format!("two batches have the sequence {sequence}"));
            }
        }
        let first = *by_sequence.keys().next().ok_or("nothing was committed")?;
        let mut order = Self { first, batches: Vec::new(), states: vec![State::new()], reached: Vec::new() };
        for (sequence, (event, batch)) in by_sequence {
            if sequence != first + order.batches.len() as u64 {
                return Err(format!("no batch has the sequence before {sequence}"));
            }
            let state = order.states.last().expect("the empty state");
            let broken = batch.expects.iter().find(|expect| !holds(expect, state));
            if let Some(broken) = broken {
                return Err(format!("{sequence} was committed, though {broken:?} was not so: {event:?}"));
            }
            let next = applied(state, batch, sequence);
            order.batches.push((event, batch));
            order.states.push(next);
            order.reached.push((event.answered, order.batches.len()));
        }
        for event in &history.events {
            let seen: Vec<&Record> = match &event.what {
                What::Get(_, found) => found.iter().collect(),
                What::Scan(found) => found.iter().map(|(_, record)| record).collect(),
                What::Commit(..) | What::Dump(..) => Vec::new(),
            };
            // What one has read the next may not find undone.
            if let Some(version) = seen.iter().map(|record| record.version).max() {
                order.reached.push((event.answered, (version + 1).saturating_sub(first) as usize));
            }
        }
        order.reached.sort_unstable();
        let mut furthest = 0;
        for (_, state) in &mut order.reached {
            furthest = furthest.max(*state);
            *state = furthest;
        }
        Ok(order)
    }

    /// Whoever was answered before another asked comes first.
    fn keeps_real_time(&self) -> Result<(), String> {
        let mut latest_question = 0;
        for (event, _) in &self.batches {
            if event.answered < latest_question {
                return Err(format!("answered before one of an earlier sequence was asked: {event:?}"));
            }
            latest_question = latest_question.max(event.asked);
        }
        Ok(())
    }

    /// The states that somebody may have met who asked and was answered then.
    fn between(&self, event: &Event) -> &[State] {
        let known = self.reached.partition_point(|(at, _)| *at < event.asked);
        let from = known.checked_sub(1).map_or(0, |at| self.reached[at].1);
        let to = self.batches.iter().rposition(|(other, _)| other.asked < event.answered);
        &self.states[from..=to.map_or(0, |at| at + 1)]
    }

    /// The state after this sequence, if it is one of these.
    fn at(&self, sequence: u64, among: &[State]) -> Option<&State> {
        let state = self.states.get((sequence + 1).saturating_sub(self.first) as usize)?;
        among.as_ptr_range().contains(&std::ptr::from_ref(state)).then_some(state)
    }

    fn explains(&self, event: &Event) -> Result<(), String> {
        let states = self.between(event);
        let fits = |fits: &dyn Fn(&State) -> bool| states.iter().any(fits);
        let explained = match &event.what {
            What::Commit(batch, Outcome::Conflict) => {
                fits(&|state| batch.expects.iter().any(|expect| !holds(expect, state)))
            }
            What::Commit(batch, Outcome::Committed(sequence)) if batch.ops.is_empty() => {
                let state = self.at(*sequence, states);
                state.is_some_and(|state| batch.expects.iter().all(|expect| holds(expect, state)))
            }
            What::Dump(whole, sequence) => self.at(*sequence, states) == Some(whole),
            What::Commit(..) => true,
            What::Get(key, found) => fits(&|state| state.get(key) == found.as_ref()),
            // No snapshot: every record by itself is of a state in between, and so is every gap.
            What::Scan(found) => {
                let found: State = found.iter().cloned().collect();
                let keys = states.iter().flat_map(|state| state.keys()).chain(found.keys());
                let mut keys = keys.filter(|key| key[0] == TABLE);
                keys.all(|key| fits(&|state| state.get(key) == found.get(key)))
            }
        };
        if explained { Ok(()) } else { Err("no state in its time explains it".into()) }
    }

    /// The mirrors get groups whole, in order, synced, and before anybody is answered.
    fn publishes(&self, history: &History) -> Result<(), String> {
        let (mut mirror, mut reached) = (State::new(), 0);
        for group in &history.published {
            for change in group.changes.iter().filter(|change| [TABLE, LOG].contains(&change.key[0])) {
                match &change.new {
                    Some(record) => mirror.insert(change.key.clone(), record.clone()),
                    None => mirror.remove(&change.key),
                };
            }
            // Several states may be equal; the witness beside the store tells which one it is.
            let ahead = reached..self.states.len().min(reached + GROUP_MAX + 1);
            let equal: Vec<usize> = ahead.filter(|at| self.states[*at] == mirror).collect();
            if equal.is_empty() {
                return Err(format!("the mirrors show half a group, or an old one: {group:?}"));
            }
            let is_synced = |at: &&usize| {
                let sequence = (self.first + **at as u64).saturating_sub(1);
                let mut noted =
                    group.sidecar.chunks(SLOT_BYTES).map(|slot| &slot[SEQUENCE_AT..SEQUENCE_AT + 8]);
                noted.any(|noted| noted == sequence.to_be_bytes())
            };
            let Some(now) = equal.iter().rfind(is_synced) else {
                return Err(format!("published before it was synced: {group:?}"));
            };
            let early = self.batches[reached..*now].iter().find(|(event, _)| event.answered < group.at);
            if let Some((event, _)) = early {
                return Err(format!("answered before the mirrors knew: {event:?}"));
            }
            reached = *now;
        }
        if reached + 1 == self.states.len() {
            Ok(())
        } else {
            Err("the mirrors missed the last group".into())
        }
    }
}

fn holds(expect: &Expect, state: &State) -> bool {
    match expect {
        Expect::Version(key, version) => state.get(key).is_some_and(|record| record.version == *version),
        Expect::Absent(key) => !state.contains_key(key),
    }
}

fn applied(state: &State, batch: &Batch, sequence: u64) -> State {
    let mut state = state.clone();
    let record = |payload: &Vec<u8>| Record { version: sequence, payload: payload.clone() };
    for (index, op) in batch.ops.iter().enumerate() {
        match op {
            Op::Put(key, payload) => _ = state.insert(key.clone(), record(payload)),
            Op::Remove(key) => _ = state.remove(key),
            Op::Append(table, payload) => {
                let key = [&[*table][..], &sequence.to_be_bytes(), &(index as u32).to_be_bytes()].concat();
                state.insert(key, record(payload));
            }
        }
    }
    state
}
