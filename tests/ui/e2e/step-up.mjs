import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import { enter, inHouse, PASSWORD, presentable, question, rows, said, steps, visitor } from './house.mjs';

/** How long a proof of the password counts in this suite: the shortest that may be set. */
const STEP_UP_MINUTES = 1;
const OPTIONS = { HALLPASS_SESSION__STEP_UP_MINUTES: String(STEP_UP_MINUTES) };

/** @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} browser */
export const stepUp = (t, browser) => inHouse({ options: OPTIONS }, async ({ origin }) => {
  const step = steps(t);
  const { page, context, leave } = await visitor(browser, origin);
  await enter(page, '/admin/users');
  await rows(page, 1);
  const since = Date.now();
  const create = async (/** @type {string} */ login) => {
    await page.getByRole('button', { name: 'Create user' }).click();
    await question(page).getByLabel('Login').fill(login);
    await question(page).getByRole('button', { name: 'Create user' }).click();
  };

  await step('a fresh sign-in is proof enough', async () => {
    await create('first');
    await said(page, 'User first created.');
    await page.goto('/admin/users');
    await rows(page, 2);
  });

  await wait(Math.max(0, since + STEP_UP_MINUTES * 60_000 + 1500 - Date.now()));

  await step('later the password is asked for; without it nothing happens', async () => {
    await create('second');
    await question(page).getByText('Confirm it is you').waitFor();
    await presentable(page, 'step-up');
    await page.keyboard.press('Escape');
    await question(page).getByText('Your password was not confirmed').waitFor();
    assert.equal(await page.locator('dialog[open]').count(), 1, 'the form and what was typed are still there');
    await question(page).getByRole('button', { name: 'Create user' }).click();
    await question(page).getByLabel('Your password').fill('not-my-password');
    await question(page).getByRole('button', { name: 'Confirm' }).click();
    await question(page).getByText('That is not your password.').waitFor();
  });

  await step('with it the act goes on by itself, once, and the session has a new cookie', async () => {
    const value = async () => (await context.cookies()).find(cookie => cookie.name.endsWith('hp-hallpass'))?.value;
    const before = await value();
    let created = 0;
    page.on('request', request => void (created += Number(request.method() === 'POST' && request.url().endsWith('/admin/users'))));
    await question(page).getByLabel('Your password').fill(PASSWORD);
    await question(page).getByRole('button', { name: 'Confirm' }).click();
    await said(page, 'User second created.');
    assert.equal(created, 1);
    assert.notEqual(await value(), before);
    await page.goto('/admin/users');
    await rows(page, 3);
    await create('third');
    await said(page, 'User third created.');
  });

  await leave();
});
