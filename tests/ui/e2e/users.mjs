import assert from 'node:assert/strict';
import { enter, focused, inHouse, PASSWORD, presentable, question, rows, said, signIn, steps, visitor } from './house.mjs';
import { seed } from './seed.mjs';

/** @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} browser */
export const users = (t, browser) => inHouse({}, async ({ origin }) => {
  const step = steps(t);
  const admin = await seed(origin);
  const { page, leave } = await visitor(browser, origin);
  await enter(page, '/admin/users');
  await rows(page, 6);
  const press = (/** @type {string | RegExp} */ name) => page.getByRole('button', { name, exact: typeof name === 'string' }).click();
  const field = (/** @type {string} */ name) => question(page).getByLabel(name, { exact: true });
  const gone = () => question(page).waitFor({ state: 'detached' });
  const find = async (/** @type {string} */ login) =>
    (await admin.must('GET', `/admin/users?q=${login}`)).items.find((/** @type {any} */ user) => user.login === login);

  await step('people are found by the beginning of a word, by role and by state', async () => {
    await page.getByRole('searchbox').fill('lov');
    await rows(page, 1);
    assert.equal(new URL(page.url()).search, '?q=lov');
    await page.goto('/admin/users?role=admin');
    await rows(page, 2);
    await page.goto('/admin/users?state=disabled');
    await page.getByText('No user matches these filters').waitFor();
    await press('Clear filters');
    await rows(page, 6);
  });

  await step('a new user is refused at the field that is wrong, then made', async () => {
    await press('Create user');
    await field('Login').fill('kat@erine');
    await field('Name').fill('Katherine Johnson');
    await field('Password').fill('short');
    await question(page).getByRole('button', { name: 'Create user' }).click();
    const login = field('Login');
    await page.locator('dialog [aria-invalid=true]').first().waitFor();
    assert.equal(await login.getAttribute('aria-invalid'), 'true');
    assert.equal(await login.evaluate(node => node === document.activeElement), true, 'the focus is where the fault is');
    await presentable(page, 'refused fields');
    await login.fill('katherine');
    await question(page).getByRole('button', { name: 'Create user' }).click();
    await page.locator('dialog [name=password][aria-invalid=true]').waitFor();
    await field('Password').fill(PASSWORD);
    await field('Groups').fill('nasa\nengineering');
    await question(page).getByRole('button', { name: 'Create user' }).click();
    await page.getByRole('heading', { name: 'Katherine Johnson' }).waitFor();
    const made = await find('katherine');
    assert.deepEqual([made.groups, made.role, made.state], [['engineering', 'nasa'], 'user', 'enabled']);
    await signIn(origin, { login: 'katherine', app: 'shop' });
  });

  await step('a user is changed; a new role is announced as what it is', async () => {
    await press('Edit');
    await field('Name').fill('Katherine G. Johnson');
    await field('E-mail').fill('katherine@example.com');
    await field('The e-mail is confirmed: it is a sign-in name').check();
    await field('Role').selectOption('admin');
    await question(page).getByText('A new role ends every session').waitFor();
    await press('Save changes');
    await gone();
    await page.getByRole('heading', { name: 'Katherine G. Johnson' }).waitFor();
    const changed = await find('katherine');
    assert.deepEqual([changed.email, changed.email_verified, changed.role, changed.live_sessions],
      ['katherine@example.com', true, 'admin', 0]);
    await press('Edit');
    await field('Login').fill('ada');
    await press('Save changes');
    await question(page).getByRole('alert').getByText('is taken').waitFor();
    await press('Cancel');
    await gone();
  });

  await step('a password is set, and everything of the user ends', async () => {
    const before = await signIn(origin, { login: 'katherine', app: 'wiki' });
    await press('Set password');
    await field('New password').fill('password1234');
    await question(page).getByRole('button', { name: 'Set password' }).click();
    await page.locator('dialog [aria-invalid=true]').waitFor();
    await field('New password').fill('brick-lantern-73');
    await question(page).getByRole('button', { name: 'Set password' }).click();
    await said(page, 'Password of katherine set.');
    assert.equal((await before.call('GET', '/auth/session')).status, 401);
    await signIn(origin, { login: 'katherine', password: 'brick-lantern-73', app: 'wiki' });
  });

  await step('signing out everywhere says how many, and ends them', async () => {
    const session = await signIn(origin, { login: 'katherine', password: 'brick-lantern-73', app: 'reports' });
    await page.reload();
    await rows(page, 2);
    await press('Sign out everywhere');
    assert.match(await question(page).innerText(), /2 live sessions/);
    await presentable(page, 'sign out everywhere?');
    await question(page).getByRole('button', { name: 'Sign out everywhere' }).click();
    await said(page, 'katherine is signed out everywhere.');
    await rows(page, 0);
    assert.equal((await session.call('GET', '/auth/session')).status, 401);
    await page.getByRole('combobox', { name: 'State of sessions' }).selectOption('ended');
    await page.getByText('Revoked by admin').first().waitFor();
  });

  await step('who is disabled or cut off cannot sign in until enabled again', async () => {
    for (const [name, action] of [['Disable…', 'Disable user'], ['Cut off…', 'Cut off']]) {
      await press(name);
      await question(page).waitFor();
      assert.equal(await focused(page), 'Cancel');
      await press(action);
      await gone();
      await page.getByText('Disabled', { exact: true }).waitFor();
      await assert.rejects(signIn(origin, { login: 'katherine', password: 'brick-lantern-73' }), /401|403/);
      await press('Enable…');
      await press('Enable user');
      await gone();
      await signIn(origin, { login: 'katherine', password: 'brick-lantern-73', app: 'wiki' });
    }
  });

  await step('a user is deleted only when the login was typed', async () => {
    await press('Delete…');
    const remove = page.getByRole('button', { name: 'Delete user' });
    assert(await remove.isDisabled());
    await question(page).getByLabel(/Type/).fill('Katherine');
    assert(await remove.isDisabled());
    await question(page).getByLabel(/Type/).fill('katherine');
    await presentable(page, 'delete?');
    await remove.click();
    await page.getByRole('heading', { name: 'Users' }).waitFor();
    await rows(page, 6);
    assert.equal(await find('katherine'), undefined);
  });

  await step('the last administrator stays, and the dialog says why', async () => {
    const grace = await find('grace');
    await admin.must('PATCH', `/admin/users/${grace.id}`, { role: 'user' });
    await page.goto(`/admin/users/${(await find('admin')).id}`);
    await press('Disable…');
    assert.match(await question(page).innerText(), /This is you/);
    await press('Disable user');
    await question(page).getByRole('alert').getByText('This is the last enabled administrator.').waitFor();
    await press('Cancel');
    await gone();
  });

  await leave();
});
