//! All who act on one house.

use crate::ledger::{Ledger, Reach, State};
use crate::office::Office;
use crate::server::{House, Server};
use serde_json::json;
use std::time::Duration;

/// How many people act at the same time.
const PEOPLE: usize = 3;

pub fn random() -> u64 {
    u64::from_be_bytes(hallpass::entropy::Entropy::system().bytes())
}

/// Those who act on one house: a few people and an administrator.
#[derive(Clone)]
pub struct Crowd {
    people: Vec<Ledger>,
    office: Office,
}

impl Crowd {
    /// A house with an app of every strategy and a few people, and its clean end.
    pub fn furnish(house: &House) -> Self {
        let mut server = house.start();
        let (api, boss) = (server.api.clone(), server.api.boss());
        for (app, strategy) in [("web", "session"), ("tracker", "tracked"), ("stateless", "jwt")] {
            let body = json!({ "id": app, "strategy": strategy, "appliance_access": app == "web" });
            let answer = api.post("/api/v1/admin/apps", Some(&boss), body).unwrap();
            assert!(answer.is_ok(), "{answer:?}");
        }
        Office::furnish(&api, &boss);
        let people = (0..PEOPLE).map(|n| {
            let (login, password) = (format!("person{n}"), "a quiet river in autumn");
            let body = json!({ "login": login, "name": login, "password": password });
            let answer = api.post("/api/v1/admin/users", Some(&boss), body).unwrap();
            let id = answer.text("id").unwrap_or_else(|| panic!("no user: {answer:?}"));
            Ledger::new(&login, &id, password, random())
        });
        let people = people.collect();
        assert!(server.terminate().success());
        Self { people, office: Office::new(random()) }
    }

    /// Everybody acts while `end` waits for its moment and ends the program.
    pub fn act_until<T>(
        &mut self,
        house: &House,
        server: &mut Server,
        end: impl FnOnce(&mut Server) -> T,
    ) -> T {
        let (api, boss) = (server.api.clone(), server.api.boss());
        let reach = &Reach { api: &api, boss: &boss, house: Some(house) };
        std::thread::scope(|scope| {
            for person in &mut self.people {
                scope.spawn(move || person.act_until_death(reach));
            }
            let office = &mut self.office;
            scope.spawn(move || office.act_until_death(reach));
            end(server)
        })
    }

    /// Holds the program to its answers, lets everybody go on acting, and kills it in the middle of that.
    pub fn crash_once(&mut self, house: &House) {
        let mut server = house.start();
        self.verify_on(&server);
        self.act_until(house, &mut server, |server| {
            std::thread::sleep(Duration::from_millis(20 + random() % 500));
            server.kill();
        });
    }

    /// The operator ends everything of everybody, and the program is killed in the middle of it, or just after.
    pub fn end_everything(&mut self, house: &House) {
        let mut server = house.start();
        self.verify_on(&server);
        let (api, boss) = (&server.api, &server.api.boss());
        self.office.make_app(&Reach { api, boss, house: None }, true).expect("an answer");
        self.people.iter_mut().for_each(|person| person.set_all(State::Alive, State::Unsure));
        self.office.intend_end();
        let done = std::thread::scope(|scope| {
            let command = scope.spawn(|| house.command(&["invalidate-all", "--yes"]));
            std::thread::sleep(Duration::from_millis(random() % 100));
            server.kill();
            command.join().expect("the command ends").is_some()
        });
        if done {
            self.people.iter_mut().for_each(|person| person.set_all(State::Unsure, State::Ended));
            self.office.settle_end();
        }
        let mut server = house.start();
        self.verify_on(&server);
        self.office.confirm(&server.api, &server.api.boss());
        server.kill();
    }

    pub fn verify(&mut self, house: &House) {
        self.verify_on(&house.start());
    }

    pub fn verify_on(&mut self, server: &Server) {
        let (api, boss) = (&server.api, &server.api.boss());
        std::thread::scope(|scope| {
            for person in &mut self.people {
                scope.spawn(move || person.verify(api, boss));
            }
            self.office.verify(api, boss);
        });
    }

    pub fn losses(&self) -> Vec<&String> {
        self.people.iter().flat_map(|person| &person.losses).chain(&self.office.losses).collect()
    }

    pub fn acknowledged(&self) -> usize {
        self.people.iter().map(|person| person.acknowledged).sum::<usize>() + self.office.acknowledged
    }
}
