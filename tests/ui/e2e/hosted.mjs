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

  const restores = 'a backup takes the place of an empty server, also without JavaScript, and everybody signs in again';
  await t.test(restores, () => inHouse({}, async ({ origin: old }) => {
    const admin = await seed(old);
    const passphrase = 'a passphrase for the shelf';
    const { name } = await admin.must('POST', '/admin/backups', { passphrase });
    const headers = { authorization: `Bearer ${admin.token}` };
    const reply = await fetch(`${old}/api/v1/admin/backups/${name}`, { headers });
    const file = { name, mimeType: 'application/octet-stream', buffer: Buffer.from(await reply.arrayBuffer()) };
    for (const javaScriptEnabled of [true, false]) {
      await inHouse({ claimed: false }, async ({ origin, setupLink }) => {
        const { page, leave } = await visitor(browser, origin, { javaScriptEnabled });
        await page.goto(setupLink());
        await page.getByText('Restore a backup instead').click();
        if (javaScriptEnabled) await presentable(page, '/setup, restore');
        const restore = async (/** @type {string} */ phrase) => {
          await page.getByLabel('Backup', { exact: true }).setInputFiles(file);
          await page.getByLabel(/^Passphrase/).fill(phrase);
          await page.getByRole('button', { name: 'Restore' }).click();
        };
        await restore('not the right passphrase');
        await page.getByText('is not the one of this backup').waitFor();
        if (javaScriptEnabled) await presentable(page, '/setup, not restored');
        await restore(passphrase);
        await page.getByRole('heading', { name: 'The backup is restored' }).waitFor();
        if (javaScriptEnabled) await presentable(page, '/setup/restore');
        // It starts anew: for a moment nobody answers.
        for (let tries = 0; tries < 100; tries++) {
          const up = await fetch(`${origin}/login`).then(answer => answer.text(), () => '');
          if (up.includes('Sign in') && !up.includes('not set up yet')) break;
          await new Promise(resolve => setTimeout(resolve, 100));
        }
        await page.goto('/login');
        await fillIn(page, 'grace', PASSWORD);
        await page.waitForURL('**/admin**');
        await leave();
      });
    }
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
