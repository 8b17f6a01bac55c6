import assert from 'node:assert/strict';
import test from 'node:test';

Object.assign(globalThis, { location: new URL('https://auth.example/admin/apps/shop') });
const { changes, snippets } = await import('../../../static/js/pages/app.js');
const { consequences } = await import('../../../static/js/pages/revoke.js');

/** @param {object} [fields] */
const app = fields => /** @type {any} */ ({ id: 'shop', name: 'Shop', strategy: 'refresh', access_minutes: 10, origins: ['https://a.example'], ...fields });

test('only what was changed is sent', () => {
  assert.deepEqual(changes(app(), { name: 'Shop', access_minutes: 10, origins: ['https://a.example'] }), {});
  assert.deepEqual(changes(app(), { name: 'Shop', access_minutes: 15, origins: [] }), { access_minutes: 15, origins: [] });
});

test('the commands fit the strategy, and only apps with a secret ask about tokens', () => {
  const of = (/** @type {any} */ made) => snippets(made, 'https://auth.example').map(({ what }) => what);
  assert.deepEqual(of(app()), ['Sign in', 'Check who is calling', 'Refresh']);
  assert.deepEqual(of(app({ strategy: 'session', confidential: true })), ['Sign in', 'Check who is calling', 'Ask about a token']);
  assert.match(snippets(app({ strategy: 'session' }), '')[0].text, /"transport": "body"/);
});

test('what a revocation truly does is said by strategy', () => {
  const told = (/** @type {string[]} */ strategies, /** @type {any[]} */ known) =>
    consequences(new Set(strategies), known).map(point => point.text).join(' ');
  const cookie = told(['session'], [app({ strategy: 'session' })]);
  assert.match(cookie, /next request/);
  assert.doesNotMatch(cookie, /token/i);
  const mixed = told(['refresh', 'tracked'], [app(), app({ id: 'b', strategy: 'tracked', access_minutes: 720 })]);
  assert.match(mixed, /Refresh tokens stop working at once/);
  assert.match(mixed, /up to 12 h/);
});
