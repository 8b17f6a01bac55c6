import assert from 'node:assert/strict';
import { AGENTS, enter, inHouse, PASSWORD, presentable, rows, said, visitor } from './house.mjs';
import { seed } from './seed.mjs';

/** @typedef {import('playwright-core').Page} Page */

/** The sign-in page, as a person uses it.
 * @param {Page} page @param {string} login @param {string} password */
async function fillIn(page, login, password) {
  await page.getByLabel('Login or e-mail').fill(login);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Set-up, sign-in and account: server-rendered, whole without JavaScript.
 * @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} browser */
export async function hosted(t, browser) {
  const once = 'without the link, set-up says how to get one; with it, the first administrator is made, once';
  await t.test(once, () => inHouse({ claimed: false }, async ({ origin, setupLink }) => {
    const { page, leave } = await visitor(browser, origin);
    await page.goto('/setup');
    await page.getByText('hallpass setup-link').waitFor();
    await presentable(page, '/setup without a code');
    await page.goto(setupLink());
    assert(!page.url().includes('code='), 'the code leaves the address');
    await presentable(page, '/setup');
    await page.getByLabel('Login').fill('ada');
    await page.getByLabel('Name').fill('Ada Lovelace');
    await page.getByLabel('Password', { exact: true }).fill('short');
    await page.getByLabel('Password again', { exact: true }).fill('short');
    await page.getByRole('button', { name: 'Make the administrator' }).click();
    await page.getByText(/At least 12|12 characters/).first().waitFor();
    await presentable(page, '/setup, refused');
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByLabel('Password again', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Make the administrator' }).click();
    await page.waitForURL(url => url.pathname !== '/setup');
    await page.context().clearCookies();
    await page.goto('/setup');
    await page.getByText('Set-up is closed').waitFor();
    await presentable(page, '/setup, closed');
    await page.goto('/login?return_to=/admin/users');
    await fillIn(page, 'ada', PASSWORD);
    await page.waitForURL('**/admin/users');
    await rows(page, 1);
    await leave();
  }));

  await inHouse({}, async ({ origin }) => {
    const admin = await seed(origin);

    await t.test('a wrong password is refused with the login kept, the right one leads back', async () => {
      const { page, leave } = await visitor(browser, origin);
      await page.goto('/admin/apps');
      await page.waitForURL('**/login?**');
      await presentable(page, '/login');
      await fillIn(page, 'grace', 'not-her-password');
      await page.getByText(/wrong/i).first().waitFor();
      assert.equal(await page.getByLabel('Login or e-mail').inputValue(), 'grace');
      await presentable(page, '/login, refused');
      await fillIn(page, 'grace', PASSWORD);
      await page.waitForURL('**/admin/apps');
      await rows(page, 6);
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.waitForURL('**/login');
      await page.goto('/admin/apps');
      await page.waitForURL('**/login?**');
      await leave();
    });

    await t.test('a session that the administrator ends is over at its next request', async () => {
      const other = await visitor(browser, origin, { userAgent: AGENTS.windows });
      await other.page.goto('/login');
      await fillIn(other.page, 'barbara', PASSWORD);
      await other.page.waitForURL('**/account');
      await presentable(other.page, '/account');
      const { page, leave } = await visitor(browser, origin, { userAgent: AGENTS.firefox });
      await enter(page, '/admin/sessions?user=barbara&app=hallpass');
      await rows(page, 1);
      await page.getByRole('button', { name: /^Revoke Barbara Liskov/ }).click();
      await page.getByRole('button', { name: 'Revoke session' }).click();
      await said(page, '1 session revoked.');
      await other.page.reload();
      await other.page.waitForURL('**/login**');
      const { items: [ended] } = await admin.must('GET', '/admin/sessions?user=barbara&app=hallpass&state=ended');
      assert.deepEqual([ended.ended_reason, ended.ended_by.login], ['revoked', 'admin']);
      await other.leave();
      await leave();
    });

    await t.test('without JavaScript one signs in, sees and ends sessions, and signs out', async () => {
      const { page, leave } = await visitor(browser, origin, { javaScriptEnabled: false });
      await page.goto('/admin');
      await page.locator('noscript p').waitFor();
      await page.goto('/login');
      await fillIn(page, 'ada', PASSWORD);
      await page.waitForURL('**/account');
      await page.getByText('This device', { exact: true }).waitFor();
      const before = (await admin.must('GET', '/admin/sessions?user=ada')).items.length;
      await page.locator('form[action*="/sessions/"] button').first().click();
      await page.waitForURL('**/account**');
      assert.equal((await admin.must('GET', '/admin/sessions?user=ada')).items.length, before - 1);
      await page.getByRole('link', { name: 'Ended sessions' }).click();
      await page.getByRole('heading', { name: 'Ended sessions' }).waitFor();
      await page.getByRole('link', { name: 'Sign out' }).click();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.goto('/account');
      await page.waitForURL('**/login**');
      await leave();
    });
  });
}
