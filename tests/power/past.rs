//! What happened to a disk, and what a power cut at any moment of it leaves.

use crate::disk::{Dice, Disk, Luck};
use crate::in_parallel;
use crate::server::House;
use crate::shim::Record;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

const WORKERS: usize = 3;

/// A disk at rest, and all that was done to it since.
pub struct Past {
    pub disk: Disk,
    pub records: Vec<Record>,
}

/// What is wrong after a cut, and where.
pub struct Loss {
    house: House,
    pub said: String,
}

impl Past {
    pub fn all(&self) -> Range<usize> {
        0..self.records.len()
    }

    pub fn take_in(&mut self, records: Range<usize>) {
        self.records[records].iter().for_each(|record| self.disk.take_in(record));
    }

    /// Moments to cut at, in order: half of them where a sync begins or ends.
    pub fn moments(&self, wanted: usize, within: Range<usize>, dice: &mut Dice) -> Vec<usize> {
        let is_of_a_sync = |at: &usize| self.records[*at].is_of_a_sync();
        let syncs: Vec<usize> = within.clone().filter(is_of_a_sync).collect();
        let mut moments: Vec<usize> = (0..wanted)
            .map(|n| match n % 2 {
                0 if !syncs.is_empty() => syncs[dice.below(syncs.len())],
                _ => within.start + dice.below(within.len()),
            })
            .collect();
        moments.sort_unstable();
        moments
    }

    /// Cuts at these moments. `look` says what is wrong in a house that a cut left, where the journal stood there.
    pub fn cut(
        mut self,
        moments: &[usize],
        dice: &mut Dice,
        look: impl Fn(&House, u64) -> Vec<String> + Sync,
    ) -> Vec<Loss> {
        let (mut houses, mut taken_in) = (Vec::new(), 0);
        for moment in moments {
            self.take_in(taken_in..moment + 1);
            taken_in = moment + 1;
            let luck = Luck::draw(dice);
            houses.push((house_after(&self.disk, luck, dice), *moment, luck));
        }
        let found = in_parallel(WORKERS, houses, |(house, moment, luck)| {
            let looked = || look(&house, self.records[moment].end);
            // Where much is lost the ledger cannot even look.
            let faults = catch_unwind(AssertUnwindSafe(looked)).unwrap_or_else(|_| vec!["see above".into()]);
            let said = format!("record {moment}, {luck:?}: {faults:#?}");
            (!faults.is_empty()).then_some(Loss { house, said })
        });
        found.into_iter().flatten().collect()
    }
}

/// A house as a cut left it.
pub fn house_after(disk: &Disk, luck: Luck, dice: &mut Dice) -> House {
    let house = House::new();
    // The image brings its own.
    std::fs::remove_file(house.directory().join("password")).unwrap();
    disk.write_image(house.directory(), luck, dice);
    house
}

/// # Panics
/// When there are losses; what they were found in is kept.
pub fn assert_none(losses: Vec<Loss>) {
    let keep = |loss: Loss| format!("{}, {}", loss.house.keep().display(), loss.said);
    let kept: Vec<String> = losses.into_iter().map(keep).collect();
    assert!(kept.is_empty(), "{kept:#?}");
}
