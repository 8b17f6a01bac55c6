//! Power cuts, at the borders of syncs and in between.

use crate::disk::{Dice, Disk, Luck};
use crate::past::{Past, assert_none, house_after};
use crate::recording::{Load, Recording};
use crate::server::House;
use crate::shim::{Shim, library};
use crate::{dice, images, images_of_an_occasion};
use std::path::Path;
use std::time::Duration;

/// Of one stretch: its tokens must not grow old while they are looked at.
const IMAGES_OF_A_RECORDING: usize = 20;
const IMAGES_OF_CONTROL: usize = 8;
const LOAD: Load = Load { people: 4, time: Duration::from_millis(1500), sync_ms: 0 };

#[test]
fn the_journal_tells_all_that_happened_to_the_directory() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), House::new());
    for _ in 0..2 {
        let mut past = Recording::of(&mut house, library, LOAD, &mut dice).past;
        past.take_in(past.all());
        assert_eq!(past.disk.differences(), [""; 0]);
        // The comparison is not blind.
        let sidecar = house.data().join("sidecar");
        std::fs::write(&sidecar, std::fs::read(&sidecar).unwrap().repeat(2)).unwrap();
        assert_eq!(past.disk.differences().len(), 1);
    }
}

#[test]
fn nothing_that_was_answered_is_undone_by_a_power_cut() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), House::new());
    let (mut left, mut answers) = (images(), 0);
    while left > 0 {
        let images = left.min(IMAGES_OF_A_RECORDING);
        let Recording { past, promises, furnished } = Recording::of(&mut house, library, LOAD, &mut dice);
        let moments = past.moments(images, furnished..past.records.len(), &mut dice);
        assert_none(past.cut(&moments, &mut dice, |house, cut| promises.hold(house, cut)));
        answers += promises.answers();
        left -= images;
    }
    println!("{} images, {answers} answers, nothing lost", images());
    assert!(answers > 20, "only {answers} answers");
}

#[test]
fn a_power_cut_in_the_first_start_loses_nothing_and_the_next_start_goes_on() {
    let Some(library) = library() else { return };
    let mut dice = dice();
    let load = Load { time: Duration::ZERO, ..LOAD };
    let Recording { past, promises, furnished } = Recording::of(&mut House::new(), library, load, &mut dice);
    let moments = past.moments(images_of_an_occasion(), 0..furnished, &mut dice);
    assert_none(past.cut(&moments, &mut dice, |house, cut| promises.hold(house, cut)));
}

#[test]
fn a_second_power_cut_while_it_starts_after_the_first_loses_nothing() {
    let Some(library) = library() else { return };
    let mut dice = dice();
    let Recording { past, promises, .. } = Recording::of(&mut House::new(), library, LOAD, &mut dice);
    let moments = past.moments(images_of_an_occasion(), past.all(), &mut dice);
    let seed = dice.below(usize::MAX) as u64;
    let twice = |house: &House, cut: u64| {
        let mut dice = Dice(seed ^ cut | 1);
        promises.hold(&started_and_cut(house, library, &mut dice), cut)
    };
    assert_none(past.cut(&moments, &mut dice, twice));
}

/// Starts a copy of it under the shim, and cuts at some moment of that start.
fn started_and_cut(house: &House, library: &Path, dice: &mut Dice) -> House {
    let mut copy = house_after(&Disk::of(house.directory()), Luck::draw(dice), dice);
    let disk = Disk::of(copy.directory());
    let shim = Shim::over(&mut copy, library);
    copy.start().kill();
    let mut past = Past { disk, records: shim.records() };
    past.take_in(0..dice.below(past.records.len()) + 1);
    house_after(&past.disk, Luck::draw(dice), dice)
}

/// The controls: were the test blind, it would find nothing here either.
#[test]
fn on_a_disk_that_ignores_the_syncs_of_the_data_file_the_same_test_finds_losses() {
    losses_are_found(House::new(), Some("store/db"));
}

#[cfg(debug_assertions)]
#[test]
fn with_the_sync_taken_out_the_same_test_finds_losses() {
    let mut house = House::new();
    // Its first start is as it should be.
    assert!(house.start().terminate().success());
    house.unsynced = true;
    losses_are_found(house, None);
}

fn losses_are_found(mut house: House, deaf_to: Option<&'static str>) {
    let Some(library) = library() else { return };
    let mut dice = dice();
    let mut recording = Recording::of(&mut house, library, LOAD, &mut dice);
    recording.past.disk.deaf_to = deaf_to;
    let Recording { past, promises, furnished } = recording;
    let moments = past.moments(IMAGES_OF_CONTROL, furnished..past.records.len(), &mut dice);
    let losses = past.cut(&moments, &mut dice, |house, cut| promises.hold(house, cut));
    assert!(!losses.is_empty(), "{IMAGES_OF_CONTROL} images without syncs, and nothing was lost");
    println!("{} of {IMAGES_OF_CONTROL} images show a loss: {}", losses.len(), losses[0].said);
}
