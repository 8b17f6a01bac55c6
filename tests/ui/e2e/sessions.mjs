import assert from 'node:assert/strict';
import { AGENTS, enter, focused, inHouse, presentable, question, rows, said, signIn, steps, visitor } from './house.mjs';
import { seed } from './seed.mjs';

/** @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} browser */
export const sessions = (t, browser) => inHouse({}, async ({ origin }) => {
  const step = steps(t);
  const admin = await seed(origin);
  const { context, page, leave } = await visitor(browser, origin, { userAgent: AGENTS.firefox });
  await enter(page, '/admin/sessions');
  const box = (/** @type {string | RegExp} */ name) => page.getByRole('checkbox', { name });

  await step('the session in use is marked and cannot be chosen or revoked', async () => {
    await rows(page, 10);
    const own = page.locator('tbody tr').filter({ hasText: 'This device' });
    assert.equal(await own.count(), 1);
    assert(await own.getByRole('checkbox').isDisabled());
    assert(await own.getByRole('button', { name: /Revoke/ }).isDisabled());
    await box('Select all shown').check();
    assert.equal(await page.locator('tbody tr.chosen').count(), 9);
    await page.getByRole('button', { name: 'Clear' }).click();
  });

  await step('filters narrow the list and live in the address', async () => {
    await page.getByRole('combobox', { name: 'App' }).selectOption('shop');
    await rows(page, 3);
    await page.getByRole('searchbox', { name: /User/ }).or(page.getByRole('combobox', { name: /User/ })).fill('ADA@example.com');
    await rows(page, 1);
    assert.equal(new URL(page.url()).search, '?app=shop&user=ADA%40example.com');
    await page.reload();
    await rows(page, 1);
    await page.getByRole('searchbox', { name: /Network/ }).fill('198.51.100.0/24');
    await page.getByText('No session matches these filters').waitFor();
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await rows(page, 10);
    assert.equal(await page.getByRole('searchbox', { name: /Network/ }).inputValue(), '');
    await page.getByRole('searchbox', { name: /Network/ }).fill('no network');
    await page.getByRole('alert').waitFor();
    await page.goto('/admin/sessions?strategy=tracked&network=198.51.100.0/24');
    await rows(page, 1);
    await page.goto('/admin/sessions');
    await rows(page, 10);
  });

  await step('a question can be left by Cancel, Esc and a click beside it, and nothing has happened', async () => {
    await box(/Select Grace/).check();
    await box(/Select Edsger/).check();
    const ask = async () => {
      await page.getByRole('button', { name: 'Revoke…' }).click();
      await question(page).waitFor();
    };
    await ask();
    assert.equal(await focused(page), 'Cancel');
    const text = await question(page).innerText();
    assert.match(text, /Revoke 2 sessions of 2 people\?/);
    assert.match(text, /Refresh tokens stop working at once/);
    assert.match(text, /up to 8 h/);
    await presentable(page, 'revoke?');
    await page.keyboard.press('Escape');
    await question(page).waitFor({ state: 'detached' });
    assert.equal(await focused(page), 'Revoke…');
    await ask();
    await page.mouse.click(5, 5);
    await question(page).waitFor({ state: 'detached' });
    await ask();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await question(page).waitFor({ state: 'detached' });
    assert.equal(await page.locator('tbody tr.chosen').count(), 2, 'the selection stays');
    await presentable(page, 'with a selection');
  });

  await step('chosen sessions end together, for the reason that was given', async () => {
    await page.getByRole('button', { name: 'Revoke…' }).click();
    await question(page).getByLabel('Reason').fill('Lost in a train');
    await page.getByRole('button', { name: 'Revoke 2 sessions' }).click();
    await said(page, '2 sessions revoked.');
    await rows(page, 8);
    assert.equal(await page.locator('.bulk').count(), 0);
    const { items } = await admin.must('GET', '/admin/sessions?state=ended');
    assert.deepEqual(items.map((/** @type {any} */ one) => [one.user.login, one.ended_reason, one.ended_by.login]).toSorted(),
      [['edsger', 'revoked', 'admin'], ['grace', 'revoked', 'admin']]);
    const { items: struck } = await admin.must('GET', '/admin/blacklist');
    assert.equal(struck.filter((/** @type {any} */ entry) => entry.reason === 'Lost in a train').length, 2);
    await page.getByRole('combobox', { name: 'State' }).selectOption('ended');
    await rows(page, 2);
    assert.equal(await page.getByText('Revoked by admin').count(), 2);
    assert.equal(await page.getByRole('button', { name: /^Revoke/ }).count(), 0);
    await page.getByRole('combobox', { name: 'State' }).selectOption('');
    await rows(page, 8);
  });

  await step('the whole of it goes by keyboard', async () => {
    await page.locator('h1').focus();
    for (const key of ['j', 'j', 'x', 'j', 'j', 'X']) await page.keyboard.press(key);
    assert.equal(await page.locator('tbody tr.chosen').count(), 3);
    await page.keyboard.press('k');
    await page.keyboard.press('x');
    assert.equal(await page.locator('tbody tr.chosen').count(), 2);
    await page.keyboard.press('#');
    await question(page).waitFor();
    await page.keyboard.press('Escape');
    await question(page).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Clear' }).click();
    await box(/Select Barbara.*Chrome/).click();
    await box(/Select Ada.*Chrome/).click({ modifiers: ['Shift'] });
    assert((await page.locator('tbody tr.chosen').count()) > 2, 'Shift and a click choose a range');
    await page.getByRole('button', { name: 'Clear' }).click();
  });

  await step('one session has its page, and ends from there', async () => {
    await page.getByRole('row').filter({ hasText: 'iOS' }).getByRole('link', { name: /Safari/ }).click();
    await page.getByRole('heading', { name: /Safari/ }).waitFor();
    await page.getByRole('button', { name: 'Copy session id' }).click();
    await page.locator('.toast').first().waitFor();
    await page.getByRole('button', { name: 'Revoke…' }).click();
    await page.getByRole('button', { name: 'Revoke session' }).click();
    await said(page, '1 session revoked.');
    await page.getByText('Revoked by admin').first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Revoke…' }).count(), 0);
  });

  await step('all that match end, also those not shown, and never the session in use', async () => {
    for (let i = 0; i < 60; i++) await signIn(origin, { login: 'alan', app: 'wiki', from: '192.0.2.200' });
    await page.goto('/admin/sessions?app=wiki');
    await rows(page, 50);
    await page.getByRole('button', { name: 'Show more' }).click();
    await rows(page, 62);
    await page.reload();
    await rows(page, 50);
    await box('Select all shown').check();
    await page.getByRole('button', { name: 'Select all matching' }).click();
    await page.getByText('All matching selected').waitFor();
    await page.getByRole('button', { name: 'Revoke…' }).click();
    assert.match(await question(page).innerText(), /Revoke 62 sessions of 3 people\?\s+All live sessions with app “wiki”, but not your own/);
    await question(page).getByRole('button', { name: 'Revoke 62 sessions' }).click();
    await said(page, '62 sessions revoked.');
    await page.getByText('No session matches these filters').waitFor();
    await page.goto('/admin/sessions');
    await page.getByText('This device').waitFor();
  });

  await context.clearCookies();
  await leave();
});
