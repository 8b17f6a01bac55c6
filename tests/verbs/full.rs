//! A disk that is almost full: nothing is written, and what is there still counts.

use crate::house::House;
use hallpass::auth::Refusal;
use hallpass::auth::check::Admin;
use hallpass::model::backup::BackupKind;
use hallpass::model::claims::Algorithm;

/// The same appliance on a disk with less free space than its floor.
async fn on_a_full_disk(house: &House) -> House {
    let data = house.directory().join("data");
    House::over(&data, house.now(), |config| config.store.free_floor_mb = u32::MAX).await
}

#[rocket::async_test]
async fn an_appliance_starts_without_room_and_checks_what_is_there() {
    let house = House::new().await;
    let boss = house.boss().await;
    let full = on_a_full_disk(&house).await;
    let auth = full.auth();
    let rotated = auth.rotate_key(&Admin::console(), Algorithm::default()).await;
    assert!(matches!(rotated, Err(Refusal::StorageFull)), "{rotated:?}");
    full.anyone().check(boss.secret()).await.is(200);
    assert!(matches!(auth.keep_house().await, Err(Refusal::StorageFull)));
    assert!(auth.failure().is_none());
}

#[rocket::async_test]
async fn a_backup_does_not_take_the_room_that_the_store_needs() {
    let house = House::new().await;
    house.boss().await;
    let full = on_a_full_disk(&house).await;
    let made = full.auth().make_backup(&Admin::console(), BackupKind::Manual, None).await;
    assert!(matches!(made, Err(Refusal::StorageFull)), "{made:?}");
    assert!(full.auth().list_backups(&Admin::console()).await.unwrap().is_empty());
}
