import assert from 'node:assert/strict';
import { enter, focused, inHouse, presentable, question, rows, visitor } from './house.mjs';
import { HOSTILE, seed, seedHostile } from './seed.mjs';

/** The frame of the admin pages, and how all of them look.
 * @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} browser */
export const frame = (t, browser) => inHouse({}, async ({ origin }) => {
  const admin = await seed(origin);
  const live = async () => (await admin.must('GET', '/admin/sessions')).items.length;

  await t.test('whoever is not signed in is sent to sign in, with the way back', async () => {
    const { page, leave } = await visitor(browser, origin);
    await page.goto('/admin/sessions?user=ada');
    await page.waitForURL(url => url.pathname === '/login' && url.searchParams.get('return_to') === '/admin/sessions?user=ada');
    await leave();
  });

  await t.test('whoever may not administer is told so, and shown where to go', async () => {
    const { page, leave } = await visitor(browser, origin);
    await enter(page, '/admin', { login: 'ada' });
    await page.getByRole('heading', { name: 'This is for administrators' }).waitFor();
    assert.equal(await page.getByRole('link', { name: 'Your account' }).getAttribute('href'), '/account');
    assert.equal(await page.locator('nav').count(), 0);
    await presentable(page, 'not for you');
    await leave();
  });

  await t.test('a page that is entered by a link has the title and the focus, and the way back works', async () => {
    const { page, leave } = await visitor(browser, origin);
    await enter(page, '/admin');
    await page.waitForURL('**/admin/sessions');
    await rows(page, await live());
    await page.getByRole('navigation').getByRole('link', { name: 'Users' }).click();
    await page.getByRole('heading', { name: 'Users' }).waitFor();
    assert.equal(await focused(page), 'Users');
    assert.equal(await page.title(), 'Users · Hallpass');
    await page.getByRole('link', { name: 'Ada Lovelace' }).click();
    await page.getByRole('heading', { name: 'Ada Lovelace' }).waitFor();
    assert.equal(await page.title(), 'Ada Lovelace · Hallpass');
    await page.goBack();
    await page.getByRole('heading', { name: 'Users' }).waitFor();
    await page.keyboard.press('Tab');
    await page.goto('/admin/nowhere');
    await page.getByRole('heading', { name: 'There is nothing here' }).waitFor();
    await leave();
  });

  await t.test('what is not there is told with the id of the request', async () => {
    const { page, leave } = await visitor(browser, origin);
    await enter(page, '/admin/users/00000000-0000-7000-8000-000000000000');
    const failure = page.getByRole('alert');
    await failure.getByText('There is nothing here').waitFor();
    assert.match(await failure.innerText(), /Request [0-9a-f]+-[0-9a-f]+/);
    await failure.getByRole('button', { name: 'Try again' }).click();
    await presentable(page, 'a user that is not there');
    await leave();
  });

  await t.test('keys are shortcuts, but not in fields, not under dialogs, and not when switched off', async () => {
    const { page, leave } = await visitor(browser, origin);
    await enter(page, '/admin/sessions');
    await rows(page, await live());
    await page.keyboard.press('/');
    assert.match(await focused(page), /User: login/);
    await page.keyboard.type('gux');
    assert.equal(new URL(page.url()).pathname, '/admin/sessions');
    await page.getByRole('button', { name: 'Clear filters' }).click();
    await rows(page, await live());
    await page.locator('h1').focus();
    await page.keyboard.press('g');
    await page.keyboard.press('b');
    await page.getByRole('heading', { name: 'Blacklist' }).waitFor();
    await page.keyboard.press('?');
    await question(page).getByText('Keyboard shortcuts').waitFor();
    await presentable(page, 'shortcuts');
    await page.keyboard.press('g');
    await page.keyboard.press('u');
    await question(page).getByRole('checkbox').uncheck();
    await question(page).getByRole('button', { name: 'Save' }).click();
    await question(page).waitFor({ state: 'detached' });
    await page.keyboard.press('g');
    await page.keyboard.press('u');
    assert.equal(new URL(page.url()).pathname, '/admin/blacklist');
    await page.reload();
    await page.getByRole('heading', { name: 'Blacklist' }).waitFor();
    await page.keyboard.press('?');
    assert.equal(await page.locator('dialog').count(), 0);
    await leave();
  });

  await t.test('on a phone the navigation is a drawer that Esc shuts', async () => {
    const { page, leave } = await visitor(browser, origin, { viewport: { width: 390, height: 844 }, hasTouch: true });
    await enter(page, '/admin/users');
    const menu = page.getByRole('button', { name: 'Menu' });
    await menu.click();
    await page.getByRole('navigation').getByRole('link', { name: 'Apps' }).waitFor();
    await presentable(page, 'drawer');
    await page.keyboard.press('Escape');
    assert.equal(await menu.getAttribute('aria-expanded'), 'false');
    assert.equal(await focused(page), 'Menu');
    await menu.click();
    await page.getByRole('navigation').getByRole('link', { name: 'Apps' }).click();
    await page.getByRole('heading', { name: 'Apps' }).waitFor();
    assert.equal(await menu.getAttribute('aria-expanded'), 'false');
    await leave();
  });

  await t.test('under a finger everything that acts is at least 44 pixels high', async () => {
    const { page, leave } = await visitor(browser, origin, {
      viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true,
    });
    await enter(page, '/admin');
    await admin.must('POST', '/admin/blacklist', { jti: crypto.randomUUID() });
    for (const path of ['/admin/sessions', '/admin/users', '/admin/blacklist', '/admin/apps', '/admin/apps/shop']) {
      await page.goto(path);
      await page.waitForSelector('h1');
      await page.waitForFunction(() => !document.querySelector('.skeleton, .skeleton-row'));
      await page.getByRole('button', { name: 'Menu' }).click();
      const low = await page.locator('button, select, nav a, .box, input:not([type=checkbox])').evaluateAll(all => all
        .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 44).map(one => one.outerHTML));
      assert.deepEqual(low, [], path);
    }
    await leave();
  });

  await t.test('a chosen theme stays', async () => {
    const { page, leave } = await visitor(browser, origin);
    await enter(page, '/admin/apps');
    await page.getByRole('combobox', { name: 'Theme' }).selectOption('dark');
    await page.reload();
    await page.getByRole('heading', { name: 'Apps' }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    assert.equal(await page.getByRole('combobox', { name: 'Theme' }).inputValue(), 'dark');
    await leave();
  });

  await t.test('every page is accessible in light, dark and on a phone, also with hostile names in it', async () => {
    const hostile = await seedHostile(admin);
    const find = async (/** @type {string} */ login) =>
      (await admin.must('GET', `/admin/users?q=${login}`)).items.find((/** @type {any} */ user) => user.login === login);
    const { items: [session] } = await admin.must('GET', '/admin/sessions?user=alan');
    await admin.must('POST', '/admin/blacklist', { jti: crypto.randomUUID(), reason: HOSTILE.markup });
    await admin.must('POST', '/admin/blacklist', { sid: session.id, reason: HOSTILE.long.slice(0, 200) });
    await admin.must('PATCH', '/admin/apps/wiki', { name: HOSTILE.long });
    const { page, leave } = await visitor(browser, origin);
    await enter(page, '/admin/sessions');
    const users = [];
    for (const login of ['ada', ...hostile]) users.push(`/admin/users/${(await find(login)).id}`);
    for (const path of ['/admin/sessions', '/admin/sessions?state=all', '/admin/sessions?user=nobody', `/admin/sessions/${session.id}`,
      '/admin/users', '/admin/users?q=nobody', ...users,
      '/admin/blacklist', '/admin/blacklist?kind=key', '/admin/apps', '/admin/apps/shop', '/admin/apps/wiki']) {
      await page.goto(path);
      await page.waitForSelector('h1');
      await page.waitForFunction(() => !document.querySelector('.skeleton, .skeleton-row'));
      await presentable(page, path);
    }
    await page.goto('/admin/users');
    await page.getByText(HOSTILE.markup).waitFor();
    assert.equal(await page.locator('main img, main script').count(), 0);
    await leave();
  });
});
