//! The rotation rule, row by row.

use super::*;

const NOW: Time = Time::from_ms(1_800_000_000_000);
const HOUR_MS: i64 = 3_600_000;

/// One presentation in plain words; the rule's own types are made of it.
#[derive(Clone, Copy, Debug)]
struct Case {
    right_app: bool,
    over: Option<EndedReason>,
    idle_left_ms: i64,
    token: Kind,
    successor: Option<Kind>,
    since_answer_ms: i64,
    same_network: bool,
    same_agent: bool,
    replay_match: ReplayMatch,
    reissues: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fresh,
    Spent,
    Superseded,
}

/// A spent token presented again a second later, by the same client, its successor unused: the lost reply.
const LOST_REPLY: Case = Case {
    right_app: true,
    over: None,
    idle_left_ms: HOUR_MS,
    token: Kind::Spent,
    successor: Some(Kind::Fresh),
    since_answer_ms: 1000,
    same_network: true,
    same_agent: true,
    replay_match: ReplayMatch::NetworkAndAgent,
    reissues: 0,
};

fn place(network: u8, agent: &str) -> Place {
    Place::new(Network::of([192, 0, network, 7].into()), agent)
}

fn verdict(case: Case) -> Verdict {
    let state = |kind, answered_at, reissues| match kind {
        Kind::Fresh => RefreshState::Fresh,
        Kind::Superseded => RefreshState::Superseded,
        Kind::Spent => RefreshState::Spent(Spent {
            successor: Digest([2; 32]),
            nonce: Some(vec![3; 32]),
            answered_at,
            place: place(1, "a"),
            reissues,
        }),
    };
    let (own, other): (AppId, AppId) = ("own".parse().unwrap(), "other".parse().unwrap());
    let token = RefreshCredential {
        session: SessionId::from_bytes([1; 16]),
        app: own.clone(),
        epoch: 1,
        state: state(case.token, NOW.plus_ms(-case.since_answer_ms), case.reissues),
        parent: None,
        generation: 1,
        idle_ends_at: NOW.plus_ms(case.idle_left_ms),
        ends_at: NOW.plus_ms(2 * HOUR_MS),
    };
    let successor = case.successor.map(|kind| state(kind, NOW, 0));
    decide(&Presented {
        token: &token,
        successor: successor.as_ref(),
        app: if case.right_app { &own } else { &other },
        session_over: case.over,
        place: &place(if case.same_network { 1 } else { 2 }, if case.same_agent { "a" } else { "b" }),
        replay_match: case.replay_match,
        now: NOW,
    })
}

fn check(rows: &[(&str, Case, Verdict)]) {
    for (what, case, expected) in rows {
        assert_eq!(verdict(*case), *expected, "{what}");
    }
}

#[test]
fn another_apps_token_is_refused_before_anything_is_said_of_its_session() {
    let wrong = Case { right_app: false, ..LOST_REPLY };
    check(&[
        ("spent", wrong, Verdict::WrongApp),
        ("fresh", Case { token: Kind::Fresh, successor: None, ..wrong }, Verdict::WrongApp),
        ("superseded", Case { token: Kind::Superseded, ..wrong }, Verdict::WrongApp),
        ("session over", Case { over: Some(EndedReason::Logout), ..wrong }, Verdict::WrongApp),
        ("idle", Case { idle_left_ms: 0, ..wrong }, Verdict::WrongApp),
    ]);
}

#[test]
fn a_session_that_is_over_says_how_whatever_the_token_is() {
    let over = Case { over: Some(EndedReason::CutOff), ..LOST_REPLY };
    let said = Verdict::SessionOver(EndedReason::CutOff);
    check(&[
        ("spent", over, said),
        ("fresh", Case { token: Kind::Fresh, successor: None, ..over }, said),
        ("reused", Case { successor: Some(Kind::Spent), ..over }, said),
        ("superseded", Case { token: Kind::Superseded, ..over }, said),
        ("idle", Case { idle_left_ms: 0, ..over }, said),
    ]);
}

#[test]
fn past_its_idle_end_a_token_is_expired_even_if_it_was_replayed() {
    let idle = Case { idle_left_ms: 0, ..LOST_REPLY };
    check(&[
        ("at the end", idle, Verdict::IdleExpired),
        ("after it", Case { idle_left_ms: -1, ..idle }, Verdict::IdleExpired),
        ("just before", Case { idle_left_ms: 1, ..idle }, Verdict::Repeat),
        ("fresh", Case { token: Kind::Fresh, successor: None, ..idle }, Verdict::IdleExpired),
        ("reused", Case { successor: Some(Kind::Spent), ..idle }, Verdict::IdleExpired),
        ("superseded", Case { token: Kind::Superseded, ..idle }, Verdict::IdleExpired),
    ]);
}

#[test]
fn a_superseded_token_or_a_used_successor_means_two_holders() {
    check(&[
        ("superseded", Case { token: Kind::Superseded, ..LOST_REPLY }, Verdict::Reuse),
        (
            "superseded, no successor",
            Case { token: Kind::Superseded, successor: None, ..LOST_REPLY },
            Verdict::Reuse,
        ),
        ("successor used", Case { successor: Some(Kind::Spent), ..LOST_REPLY }, Verdict::Reuse),
        ("successor superseded", Case { successor: Some(Kind::Superseded), ..LOST_REPLY }, Verdict::Reuse),
        ("successor unknown", Case { successor: None, ..LOST_REPLY }, Verdict::Reuse),
        (
            "used, in the very moment of the answer",
            Case { successor: Some(Kind::Spent), since_answer_ms: 0, ..LOST_REPLY },
            Verdict::Reuse,
        ),
        (
            "used, reissued too often",
            Case { successor: Some(Kind::Spent), reissues: 5, ..LOST_REPLY },
            Verdict::Reuse,
        ),
    ]);
}

#[test]
fn five_reissues_are_given_and_the_sixth_is_refused_unless_it_is_a_repeat() {
    let later = Case { since_answer_ms: HOUR_MS, ..LOST_REPLY };
    check(&[
        ("the fifth", Case { reissues: 4, ..later }, Verdict::Reissue),
        ("the sixth", Case { reissues: 5, ..later }, Verdict::ReissuedTooOften),
        ("beyond", Case { reissues: u8::MAX, ..later }, Verdict::ReissuedTooOften),
        ("within the window of the fifth", Case { reissues: 5, ..LOST_REPLY }, Verdict::Repeat),
        (
            "within it, from elsewhere",
            Case { reissues: 5, same_agent: false, ..LOST_REPLY },
            Verdict::ReissuedTooOften,
        ),
    ]);
}

#[test]
fn the_window_is_thirty_seconds_and_a_clock_that_went_back_does_not_open_it() {
    let since = |since_answer_ms| Case { since_answer_ms, ..LOST_REPLY };
    check(&[
        ("a moment before the answer", since(-1), Verdict::Reissue),
        ("an hour before the answer", since(-HOUR_MS), Verdict::Reissue),
        ("30.000 s", since(30_000), Verdict::Reissue),
        ("hours later", since(5 * HOUR_MS), Verdict::Reissue),
        ("at once", since(0), Verdict::Repeat),
        ("29.999 s", since(29_999), Verdict::Repeat),
    ]);
}

#[test]
fn the_same_place_is_what_the_app_says_it_is() {
    let elsewhere = |same_network, same_agent, replay_match| Case {
        same_network,
        same_agent,
        replay_match,
        ..LOST_REPLY
    };
    use ReplayMatch::{Agent, NetworkAndAgent, None};
    check(&[
        ("other network", elsewhere(false, true, NetworkAndAgent), Verdict::Reissue),
        ("other agent", elsewhere(true, false, NetworkAndAgent), Verdict::Reissue),
        ("both other", elsewhere(false, false, NetworkAndAgent), Verdict::Reissue),
        ("both the same", elsewhere(true, true, NetworkAndAgent), Verdict::Repeat),
        ("agent: other agent", elsewhere(true, false, Agent), Verdict::Reissue),
        ("agent: other network", elsewhere(false, true, Agent), Verdict::Repeat),
        ("none: both other", elsewhere(false, false, None), Verdict::Repeat),
    ]);
}

#[test]
fn a_fresh_token_rotates() {
    let fresh = Case { token: Kind::Fresh, successor: None, ..LOST_REPLY };
    check(&[
        ("in its own place", fresh, Verdict::Rotate),
        ("from elsewhere", Case { same_network: false, same_agent: false, ..fresh }, Verdict::Rotate),
        ("a moment before its end", Case { idle_left_ms: 1, ..fresh }, Verdict::Rotate),
    ]);
}

/// A row of the table: its name, when it applies, and what it says.
type TableRow = (&'static str, fn(&Case) -> bool, fn(&Case) -> Verdict);

/// The table of ARCHITECTURE.md once more, as data and in its order, independent of the rule's code.
const TABLE: [TableRow; 9] = [
    ("another app's", |c| !c.right_app, |_| Verdict::WrongApp),
    ("session not live", |c| c.over.is_some(), |c| Verdict::SessionOver(c.over.unwrap())),
    ("past its idle end", |c| c.idle_left_ms <= 0, |_| Verdict::IdleExpired),
    ("fresh", |c| c.token == Kind::Fresh, |_| Verdict::Rotate),
    (
        "spent, unused, within the window, same place",
        |c| unused(c) && (0..=29_999).contains(&c.since_answer_ms) && same_place(c),
        |_| Verdict::Repeat,
    ),
    ("spent, unused, later or elsewhere", |c| unused(c) && c.reissues <= 4, |_| Verdict::Reissue),
    ("spent, unused, reissued five times", unused, |_| Verdict::ReissuedTooOften),
    ("spent, used", |c| c.token == Kind::Spent, |_| Verdict::Reuse),
    ("superseded", |_| true, |_| Verdict::Reuse),
];

fn unused(c: &Case) -> bool {
    c.token == Kind::Spent && c.successor == Some(Kind::Fresh)
}

fn same_place(c: &Case) -> bool {
    let network = c.same_network || c.replay_match != ReplayMatch::NetworkAndAgent;
    network && (c.same_agent || c.replay_match == ReplayMatch::None)
}

#[test]
fn every_combination_gets_the_verdict_of_the_tables_first_row_that_applies() {
    let mut met = [0_u32; TABLE.len()];
    for case in all_cases() {
        let row = TABLE.iter().position(|(_, applies, _)| applies(&case)).expect("the table is total");
        let (name, _, says) = TABLE[row];
        assert_eq!(verdict(case), says(&case), "row {row}, {name}: {case:?}");
        met[row] += 1;
    }
    assert!(met.iter().all(|times| *times > 0), "a row that nothing reaches: {met:?}");
}

fn all_cases() -> impl Iterator<Item = Case> {
    // A number in mixed base, one digit for each thing that may vary.
    const BASES: [usize; 10] = [2, 3, 3, 3, 4, 6, 2, 2, 3, 4];
    (0..BASES.iter().product()).map(|mut number: usize| {
        let digit = BASES.map(|base| {
            let digit = number % base;
            number /= base;
            digit
        });
        let kinds = [Kind::Fresh, Kind::Spent, Kind::Superseded];
        Case {
            right_app: digit[0] == 0,
            over: [None, Some(EndedReason::Logout), Some(EndedReason::IdleExpired)][digit[1]],
            idle_left_ms: [-1, 0, 1][digit[2]],
            token: kinds[digit[3]],
            successor: [None, Some(kinds[0]), Some(kinds[1]), Some(kinds[2])][digit[4]],
            since_answer_ms: [-1, 0, 29_999, 30_000, HOUR_MS, -HOUR_MS][digit[5]],
            same_network: digit[6] == 0,
            same_agent: digit[7] == 0,
            replay_match: [ReplayMatch::NetworkAndAgent, ReplayMatch::Agent, ReplayMatch::None][digit[8]],
            reissues: [0, 4, 5, u8::MAX][digit[9]],
        }
    })
}

#[test]
fn a_place_keeps_so_much_of_an_agent_and_never_half_a_letter() {
    let long = "ä".repeat(AGENT_BYTES_MAX);
    let kept = place(1, &long).agent;
    assert_eq!(kept.len(), AGENT_BYTES_MAX);
    assert!(place(1, &format!("x{long}")).agent.len() < AGENT_BYTES_MAX);
    assert_eq!(place(1, &long), place(1, &format!("{long}beyond")));
}

#[test]
fn only_a_token_that_could_still_give_a_pair_is_current() {
    let mut token = RefreshCredential {
        session: SessionId::from_bytes([1; 16]),
        app: "own".parse().unwrap(),
        epoch: 1,
        state: RefreshState::Superseded,
        parent: None,
        generation: 1,
        idle_ends_at: NOW,
        ends_at: NOW,
    };
    assert!(!token.is_current());
    let spent = |nonce| {
        let (successor, answered_at, place) = (Digest([2; 32]), NOW, place(1, "a"));
        RefreshState::Spent(Spent { successor, nonce, answered_at, place, reissues: 0 })
    };
    token.state = spent(None);
    assert!(!token.is_current());
    token.state = spent(Some(vec![3; 32]));
    assert!(token.is_current());
    token.state = RefreshState::Fresh;
    assert!(token.is_current());
}
