import assert from 'node:assert/strict';
import { enter, inHouse, presentable, question, rows, said, signIn, steps, visitor } from './house.mjs';
import { seed } from './seed.mjs';

/** @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} browser */
export const apps = (t, browser) => inHouse({}, async ({ origin }) => {
  const step = steps(t);
  const admin = await seed(origin);
  const { page, leave } = await visitor(browser, origin);
  await enter(page, '/admin/apps');
  await rows(page, 6);
  const press = (/** @type {string | RegExp} */ name) => page.getByRole('button', { name, exact: typeof name === 'string' }).click();
  const gone = () => question(page).waitFor({ state: 'detached' });
  /** @param {string} secret */
  const introspect = async secret => {
    const { token } = await signIn(origin, { login: 'ada', app: 'portal' });
    const headers = { authorization: `Basic ${btoa(`portal:${secret}`)}`, 'content-type': 'application/x-www-form-urlencoded' };
    const reply = await fetch(`${origin}/oauth2/introspect`, { method: 'POST', headers, body: `token=${token}` });
    return { status: reply.status, value: await reply.json() };
  };
  let secret = '';

  await step('an app is made by choosing a strategy, and its secret is shown once', async () => {
    await press('Create app');
    const dialog = question(page);
    for (const name of [/refresh token/, /cookie/, /bound to a session/, /JWT alone/]) await dialog.getByRole('radio', { name }).waitFor();
    await presentable(page, 'create app');
    await dialog.getByLabel('Id', { exact: true }).fill('No Id');
    await dialog.getByLabel('Name', { exact: true }).fill('Portal');
    await dialog.getByRole('radio', { name: /bound to a session/ }).check();
    await dialog.getByLabel('Allowed origins').fill('https://portal.example\nhttps://www.portal.example');
    await dialog.getByLabel(/Confidential/).check();
    await dialog.getByRole('button', { name: 'Create app' }).click();
    await page.locator('dialog [name=id][aria-invalid=true]').waitFor();
    await dialog.getByLabel('Id', { exact: true }).fill('portal');
    await dialog.getByRole('button', { name: 'Create app' }).click();
    await question(page).getByText('Keep this secret now').waitFor();
    await presentable(page, 'a new secret');
    secret = await question(page).locator('pre').innerText();
    assert.match(secret, /^hpc_/);
    await press('I have kept it');
    await page.getByRole('heading', { name: 'Portal' }).waitFor();
    const made = await admin.must('GET', '/admin/apps/portal');
    assert.deepEqual([made.strategy, made.confidential, made.origins],
      ['tracked', true, ['https://portal.example', 'https://www.portal.example']]);
    const { status, value } = await introspect(secret);
    assert.deepEqual([status, value.active], [200, true]);
    assert(!(await page.content()).includes(secret), 'the secret is gone from the page');
  });

  await step('settings are refused at their field, then saved', async () => {
    await page.getByLabel('Access token lives').fill('721');
    await press('Save settings');
    await page.locator('[name=access_minutes][aria-invalid=true]').waitFor();
    await presentable(page, 'refused settings');
    await page.getByLabel('Access token lives').fill('90');
    await page.getByText('= 1 h 30 min').waitFor();
    await page.getByLabel('Signing algorithm').selectOption('EdDSA');
    await press('Save settings');
    await said(page, 'Settings saved.');
    const changed = await admin.must('GET', '/admin/apps/portal');
    assert.deepEqual([changed.access_minutes, changed.algorithm, changed.name], [90, 'EdDSA', 'Portal']);
  });

  await step('a second secret comes beside the first, and a removed one is refused', async () => {
    await press('Add secret');
    await question(page).getByRole('button', { name: 'Add secret' }).click();
    await question(page).getByText('Keep this secret now').waitFor();
    const second = await question(page).locator('pre').innerText();
    await press('I have kept it');
    await gone();
    assert.equal((await introspect(secret)).status, 200);
    assert.equal((await introspect(second)).status, 200);
    assert(await page.getByRole('button', { name: 'Add secret' }).isDisabled());
    await page.reload();
    // Uses are written down once a minute: here both are too young.
    await page.getByText('never used').nth(1).waitFor();
    await page.getByRole('button', { name: /^Remove secret/ }).first().click();
    await question(page).getByRole('button', { name: 'Remove secret' }).click();
    await said(page, 'Secret removed.');
    assert.equal((await introspect(secret)).status, 401);
    assert.equal((await introspect(second)).status, 200);
  });

  await step('a disabled app refuses, an enabled one goes on', async () => {
    await press('Disable…');
    await press('Disable app');
    await said(page, 'App portal is disabled.');
    await assert.rejects(signIn(origin, { login: 'ada', app: 'portal' }));
    await press('Enable…');
    await press('Enable app');
    await said(page, 'App portal is enabled.');
    await signIn(origin, { login: 'ada', app: 'portal' });
  });

  await step('an app is deleted only when its id was typed, and a built-in one not at all', async () => {
    await press('Delete…');
    const remove = page.getByRole('button', { name: 'Delete app' });
    assert(await remove.isDisabled());
    await question(page).getByLabel(/Type/).fill('portal');
    await remove.click();
    await rows(page, 6);
    assert.equal((await admin.call('GET', '/admin/apps/portal')).status, 404);
    await page.goto('/admin/apps/hallpass');
    await page.getByText('A built-in app cannot be deleted.').waitFor();
    await press('Disable…');
    await press('Disable app');
    await question(page).getByRole('alert').getByText('must stay enabled').waitFor();
    await press('Cancel');
    await gone();
  });

  await leave();
});
