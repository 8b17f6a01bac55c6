import assert from 'node:assert/strict';
import test from 'node:test';

Object.assign(globalThis, { location: new URL('https://auth.example/admin/sessions/?user=ada&state=') });
const { isOurs, match, path, query, withQuery } = await import('../../../static/js/router.js');

test('a pattern matches whole paths only', () => {
  for (const other of ['/admin/users', '/admin/users/1/2', '/admin/sessions/1', '/admin/users/%zz']) {
    assert.equal(match('/admin/users/:id', other), null, other);
  }
  assert.deepEqual(match('/admin/users/:id', '/admin/users/a%2Fb'), { id: 'a/b' });
  assert.deepEqual(match('/admin/users', '/admin/users'), {});
});

test('the address is read without its last slash, and with its filters', () => {
  assert.equal(path.value, '/admin/sessions');
  assert.deepEqual(query.value, { user: 'ada', state: '' });
});

test('an address says only what is set, and escapes it', () => {
  assert.equal(withQuery('/x', { a: '', b: undefined, c: null }), '/x');
  assert.equal(withQuery('/x', { a: 'ü&=', limit: 8 }), '/x?a=%C3%BC%26%3D&limit=8');
});

test('only plain clicks on links into the admin pages are followed here', () => {
  /** @param {object} [event] @param {object} [link] */
  const ours = (event = {}, link = {}) => isOurs(
    /** @type {any} */ ({ button: 0, ...event }),
    /** @type {any} */ ({ target: '', origin: location.origin, pathname: '/admin/users', hasAttribute: () => false, ...link }));
  for (const event of [{ button: 1 }, { ctrlKey: true }, { metaKey: true }, { shiftKey: true }, { altKey: true }, { defaultPrevented: true }]) {
    assert.equal(ours(event), false, JSON.stringify(event));
  }
  for (const link of [{ origin: 'https://evil.example' }, { pathname: '/account' }, { pathname: '/administrator' }, { target: '_blank' },
    { hasAttribute: () => true }]) {
    assert.equal(ours({}, link), false, JSON.stringify(link));
  }
  assert.equal(ours(), true);
  assert.equal(isOurs(/** @type {any} */ ({ button: 0 }), null), false);
});
