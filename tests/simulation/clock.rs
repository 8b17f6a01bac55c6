//! A machine whose clock is set back, and right again, while the appliance runs and across its restarts. It makes no
//! difference to anybody.

use crate::dice::Dice;
use crate::sim::Sim;
use crate::world::{DAY, HOUR, MINUTE, Ms};

impl Sim {
    /// The run of this seed under such a clock. It has dice of its own: the acts are the same as without.
    pub fn with_unruly_clock(seed: u64) -> Self {
        let mut sim = Self::new(seed);
        sim.clock_dice = Some(Dice::new(!seed));
        sim
    }

    pub fn set_the_clock(&mut self) {
        let Some(dice) = &mut self.clock_dice else { return };
        let machine = self.sources.clock.now().ms();
        let by = match dice.below(40) {
            0 => -dice.pick(&[3 * MINUTE, HOUR, DAY, 400 * DAY]).unwrap(),
            1 => self.auth().now().ms() - machine,
            _ => return,
        };
        self.note(format!("the clock is set by {by} ms"));
        self.sources.clock.set_by_ms(by);
        assert_eq!(self.auth().now().ms(), self.world.now, "time goes on as if nothing had happened");
    }

    /// A process that runs has written the time down within the last minute.
    pub fn keep_house_under_a_wrong_clock(&mut self) {
        let auth = self.auth();
        if auth.clock_behind_ms().is_some() {
            self.wait(auth.keep_house()).unwrap();
            self.world.wrote_seen();
            self.learn_keys();
        }
    }

    /// After a restart under a wrong clock it is as late as it can have been, and never earlier.
    pub fn catch_up(&mut self) {
        let by: Ms = self.auth().now().ms() - self.world.now;
        assert!((0..=2 * MINUTE).contains(&by), "a restart moved time by {by} ms");
        self.world.advance(by);
    }
}
