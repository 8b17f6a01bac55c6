import assert from 'node:assert/strict';
import test from 'node:test';
import { byWhom, called, count, lifetime, reasonInWords, relative, short } from '../../../static/js/lib/fmt.js';

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

test('a time is told beside now', () => {
  const table = /** @type {[number, string][]} */ ([
    [0, 'now'], [-59_000, 'now'], [-MINUTE, '1m ago'], [-11 * MINUTE, '11m ago'], [-HOUR, '1h ago'], [-DAY + 1, '23h ago'],
    [-DAY, '1d ago'], [-40 * DAY, '40d ago'], [30_000, 'in under 1m'], [14 * MINUTE, 'in 14m'], [23 * HOUR, 'in 23h'],
    [DAY, 'tomorrow'], [2 * DAY, 'in 2d'],
  ]);
  for (const [ms, wanted] of table) assert.equal(relative(1e12 + ms, 1e12), wanted, String(ms));
});

test('a lifetime has the units that people use', () => {
  const table = /** @type {[number, string][]} */ ([
    [10, '10 min'], [60, '1 h'], [90, '1 h 30 min'], [720, '12 h'], [1440, '1 day'], [10080, '7 days'], [1501, '1 day 1 h 1 min'],
    [0, ''], [-5, ''], [NaN, ''],
  ]);
  for (const [minutes, wanted] of table) assert.equal(lifetime(minutes), wanted, String(minutes));
});

test('counts agree in number', () => {
  assert.equal(count(1, 'session'), '1 session');
  assert.equal(count(0, 'session'), '0 sessions');
  assert.equal(count(1204, 'session'), '1,204 sessions');
  assert.equal(count(2, 'person', 'people'), '2 people');
});

test('an id keeps both its ends', () => {
  assert.equal(short('019ab5c2-7d1e-7f00-8000-00000000abcd'), '019ab5c2…0abcd');
  assert.equal(short('default'), 'default');
});

test('people are called by name, else by login, and the deleted are nobody', () => {
  assert.equal(called({ name: 'Ada', login: 'ada' }), 'Ada');
  assert.equal(called({ name: '', login: 'ada' }), 'ada');
  assert.equal(called({ name: null, login: null }), 'Deleted user');
});

test('a known reason is put into words and an administrator\'s own stays', () => {
  assert.equal(reasonInWords('refresh_reused'), 'Refresh token used twice');
  assert.equal(reasonInWords('laptop stolen'), 'laptop stolen');
});

test('who did it is told where it was somebody', () => {
  assert.equal(byWhom({ kind: 'user', login: 'ada' }), 'by ada');
  assert.equal(byWhom({ kind: 'user', login: null }), 'by a deleted user');
  assert.equal(byWhom({ kind: 'console', login: null }), 'by the command line');
  assert.equal(byWhom({ kind: 'system', login: null }), '');
  assert.equal(byWhom(null), '');
});
