//! Power cuts, at the borders of syncs and in between.

use crate::disk::{Dice, Disk, Luck};
use crate::recording::{Load, Recording, house_after};
use crate::server::House;
use crate::shim::{Shim, library};
use crate::{dice, in_parallel, number};
use std::path::Path;
use std::time::Duration;

const IMAGES: usize = 8;
/// Of one stretch: its tokens must not grow old while they are looked at.
const IMAGES_OF_A_RECORDING: usize = 20;
const IMAGES_OF_CONTROL: usize = 8;
const WORKERS: usize = 3;
const LOAD: Load = Load { people: 4, time: Duration::from_millis(1500) };

fn images() -> usize {
    number("HALLPASS_POWER_IMAGES", IMAGES)
}

/// What is wrong after a cut, and where.
struct Loss {
    house: House,
    said: String,
}

/// Cuts a recorded stretch at some moments.
fn cut(mut recording: Recording, moments: &[usize], dice: &mut Dice) -> Vec<Loss> {
    let (mut houses, mut taken_in) = (Vec::new(), 0);
    for moment in moments {
        take_in(&mut recording, taken_in..*moment + 1);
        taken_in = moment + 1;
        let luck = Luck::draw(dice);
        houses.push((house_after(&recording.disk, luck, dice), *moment, luck));
    }
    let recording = &recording;
    let found = in_parallel(WORKERS, houses, |(house, moment, luck)| {
        let faults = recording.hold(&house, recording.records[moment].end);
        let said = format!("record {moment}, {luck:?}: {faults:#?}");
        (!faults.is_empty()).then_some(Loss { house, said })
    });
    found.into_iter().flatten().collect()
}

/// # Panics
/// When there are losses; what they were found in is kept.
fn assert_none(losses: Vec<Loss>) {
    let keep = |loss: Loss| format!("{}, {}", loss.house.keep().display(), loss.said);
    let kept: Vec<String> = losses.into_iter().map(keep).collect();
    assert!(kept.is_empty(), "{kept:#?}");
}

fn take_in(recording: &mut Recording, records: std::ops::Range<usize>) {
    recording.records[records].iter().for_each(|record| recording.disk.take_in(record));
}

#[test]
fn the_journal_tells_all_that_happened_to_the_directory() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), House::new());
    for _ in 0..2 {
        let mut recording = Recording::of(&mut house, library, LOAD, &mut dice);
        let all = 0..recording.records.len();
        take_in(&mut recording, all);
        assert_eq!(recording.disk.differences(), [""; 0]);
        // The comparison is not blind.
        let sidecar = house.data().join("sidecar");
        std::fs::write(&sidecar, std::fs::read(&sidecar).unwrap().repeat(2)).unwrap();
        assert_eq!(recording.disk.differences().len(), 1);
    }
}

#[test]
fn nothing_that_was_answered_is_undone_by_a_power_cut() {
    let Some(library) = library() else { return };
    let (mut dice, mut house) = (dice(), House::new());
    let (mut left, mut answers) = (images(), 0);
    while left > 0 {
        let images = left.min(IMAGES_OF_A_RECORDING);
        let recording = Recording::of(&mut house, library, LOAD, &mut dice);
        answers += recording.answers();
        let moments = recording.moments(images, recording.furnished..recording.records.len(), &mut dice);
        assert_none(cut(recording, &moments, &mut dice));
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
    let recording = Recording::of(&mut House::new(), library, load, &mut dice);
    let moments = recording.moments(images().min(100), 0..recording.furnished, &mut dice);
    assert_none(cut(recording, &moments, &mut dice));
}

#[test]
fn a_second_power_cut_while_it_starts_after_the_first_loses_nothing() {
    let Some(library) = library() else { return };
    let mut dice = dice();
    let mut recording = Recording::of(&mut House::new(), library, LOAD, &mut dice);
    let moments = recording.moments(images().div_ceil(4).min(20), 0..recording.records.len(), &mut dice);
    let (mut houses, mut taken_in) = (Vec::new(), 0);
    for moment in moments {
        take_in(&mut recording, taken_in..moment + 1);
        taken_in = moment + 1;
        let first = house_after(&recording.disk, Luck::draw(&mut dice), &mut dice);
        let second = started_and_cut(first, library, &mut dice);
        houses.push((second, recording.records[moment].end));
    }
    let losses = in_parallel(WORKERS, houses, |(house, cut)| {
        let faults = recording.hold(&house, cut);
        (!faults.is_empty()).then(|| Loss { house, said: format!("{faults:#?}") })
    });
    assert_none(losses.into_iter().flatten().collect());
}

/// Starts it under the shim, and cuts at some moment of that start.
fn started_and_cut(mut house: House, library: &Path, dice: &mut Dice) -> House {
    let mut disk = Disk::of(house.directory());
    let shim = Shim::over(&mut house, library);
    house.start().kill();
    let records = shim.records();
    let moment = dice.below(records.len());
    records[..=moment].iter().for_each(|record| disk.take_in(record));
    house_after(&disk, Luck::draw(dice), dice)
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
    house.unsynced = true;
    losses_are_found(house, None);
}

fn losses_are_found(mut house: House, deaf_to: Option<&'static str>) {
    let Some(library) = library() else { return };
    let mut dice = dice();
    let mut recording = Recording::of(&mut house, library, LOAD, &mut dice);
    recording.disk.deaf_to = deaf_to;
    let moments =
        recording.moments(IMAGES_OF_CONTROL, recording.furnished..recording.records.len(), &mut dice);
    let losses = cut(recording, &moments, &mut dice);
    assert!(!losses.is_empty(), "{IMAGES_OF_CONTROL} images without syncs, and nothing was lost");
    println!("{} of {IMAGES_OF_CONTROL} images show a loss: {}", losses.len(), losses[0].said);
}
