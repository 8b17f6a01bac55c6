import assert from 'node:assert/strict';
import { enter, inHouse, presentable, question, rows, said, signIn, steps, visitor } from './house.mjs';
import { seed } from './seed.mjs';

/** @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} browser */
export const blacklist = (t, browser) => inHouse({}, async ({ origin }) => {
  const step = steps(t);
  const admin = await seed(origin);
  const { page, leave } = await visitor(browser, origin);
  await enter(page, '/admin/blacklist');
  await page.getByText('Nothing is blacklisted').waitFor();
  const press = (/** @type {string} */ name) => page.getByRole('button', { name, exact: true }).click();
  const field = (/** @type {string} */ name) => question(page).getByLabel(name, { exact: true });
  /** @param {string} kind @param {string} label @param {string} text @param {string} reason */
  const add = async (kind, label, text, reason) => {
    await press('Add entry');
    await field('What').selectOption(kind);
    await field(label).fill(text);
    await field('Reason').fill(reason);
    await press('Blacklist');
  };

  await step('what is no token of ours is refused at its field', async () => {
    await add('token', 'Token', 'eyJhbGciOiJub25lIn0.e30.', '');
    await question(page).getByText('This is no token that was issued here.').waitFor();
    await presentable(page, 'not ours');
    await press('Cancel');
  });

  await step('a pasted token is refused from now on, and only its identifier is kept', async () => {
    const caller = await signIn(origin, { login: 'ada', app: 'metrics' });
    assert.equal((await caller.call('GET', '/auth/session')).status, 200);
    await press('Add entry');
    await question(page).getByText('Only its identifier is kept').waitFor();
    await presentable(page, 'add to the blacklist');
    await field('Token').fill(` ${caller.token}\n`);
    await field('Reason').fill('Pasted into a chat');
    await press('Blacklist');
    await said(page, 'Token blacklisted.');
    await rows(page, 1);
    await page.getByText('Pasted into a chat').waitFor();
    assert.equal(await page.getByText('by admin').count(), 1);
    const refused = await caller.call('GET', '/auth/session');
    assert.deepEqual([refused.status, refused.value.code], [401, 'token_blacklisted']);

    await page.getByRole('button', { name: /^Remove token/ }).click();
    await question(page).getByText('can use it again').waitFor();
    await press('Remove entry');
    await said(page, 'Entry removed.');
    assert.equal((await caller.call('GET', '/auth/session')).status, 200);
  });

  await step('a user by login, a session and a token by id; only the token entry can be removed', async () => {
    const { items: [session] } = await admin.must('GET', '/admin/sessions?user=barbara&app=wiki');
    await add('sid', 'sid', session.id, 'Left open');
    await said(page, 'Session blacklisted.');
    await page.getByRole('row').filter({ hasText: 'Left open' }).getByRole('link', { name: 'barbara' }).waitFor();
    await add('jti', 'jti', 'no id', '');
    await page.locator('dialog [aria-invalid=true]').waitFor();
    await field('jti').fill(crypto.randomUUID());
    await press('Blacklist');
    await said(page, 'Token blacklisted.');
    await add('user_id', 'User', 'ALAN@example.com', 'Gone');
    await said(page, 'User blacklisted.');
    await rows(page, 3);
    assert.equal(await page.getByText('Final', { exact: true }).count(), 2);
    assert.equal(await page.getByRole('button', { name: /^Remove token/ }).count(), 1);
    assert.equal((await admin.must('GET', '/admin/sessions?user=alan')).items.length, 0);
    await page.getByRole('combobox', { name: 'Kind' }).selectOption('user');
    await rows(page, 1);
    await page.getByRole('link', { name: 'alan' }).click();
    await page.getByRole('heading', { name: 'Alan Turing' }).waitFor();
  });

  await step('a long list goes on', async () => {
    for (let i = 0; i < 60; i++) await admin.must('POST', '/admin/blacklist', { jti: crypto.randomUUID(), reason: `number ${i}` });
    await page.goto('/admin/blacklist?kind=token');
    await rows(page, 50);
    await page.getByRole('button', { name: 'Show more' }).click();
    await rows(page, 61);
    assert.equal(await page.getByRole('button', { name: 'Show more' }).count(), 0);
    const shown = await page.locator('tbody tr').evaluateAll(all => all.map(row => /** @type {HTMLElement} */ (row).dataset.id));
    assert.equal(new Set(shown).size, 61);
  });

  await step('a blacklisted key signs and proves nothing any more, and there is a new one', async () => {
    const before = await signIn(origin, { login: 'ada', app: 'reports' });
    const { items: [key] } = await admin.must('GET', '/admin/keys');
    await page.goto('/admin/blacklist');
    await add('kid', 'kid', key.kid, 'It leaked');
    await said(page, 'Key blacklisted.');
    assert.equal((await before.call('GET', '/auth/session')).status, 401);
    const after = await signIn(origin, { login: 'ada', app: 'reports' });
    assert.equal((await after.call('GET', '/auth/session')).status, 200);
  });

  await leave();
});
