import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { freePort, inHouse, PASSWORD, presentable, ROOT, signIn, visitor } from './house.mjs';

/** Serves the example pages, for as long as this process lives.
 * @param {string} appliance */
async function serveExamples(appliance) {
  const port = String(await freePort());
  const env = { PATH: process.env.PATH, PORT: port, HALLPASS: appliance };
  const server = spawn(process.execPath, [path.join(ROOT, 'examples/serve.mjs')], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => server.kill());
  await once(server.stdout, 'data');
  return { own: `http://localhost:${port}`, end: () => server.kill() };
}

/** The example pages, each from another origin than the appliance.
 * @param {import('node:test').TestContext} t @param {import('playwright-core').Browser} browser */
export const examples = (t, browser) => inHouse({}, async ({ origin }) => {
  const { own, end } = await serveExamples(origin);
  const admin = await signIn(origin);
  for (const strategy of ['session', 'jwt', 'tracked', 'refresh']) {
    await admin.must('POST', '/admin/apps', { id: `example-${strategy}`, strategy, origins: [own] });
  }

  /** @param {import('playwright-core').Page} page @param {string} strategy */
  const example = async (page, strategy) => {
    await page.goto(`${own}/${strategy}.html`);
    const press = (/** @type {string} */ name) => page.getByRole('button', { name, exact: true }).click();
    const says = (/** @type {string} */ text) => page.locator('#who').filter({ hasText: text }).waitFor();
    return {
      press,
      says,
      enter: async () => {
        await page.getByLabel('Login').fill('admin');
        await page.getByLabel('Password').fill(PASSWORD);
        await press('Sign in');
        await says('Signed in as');
      },
      /** Waits for the latest reply to be this. */
      replied: (/** @type {string | RegExp} */ text) => page.locator('#replies li').first().filter({ hasText: text }).waitFor(),
    };
  };
  const endAll = async (/** @type {string} */ app) => {
    const { items } = await admin.must('GET', `/admin/sessions?app=${app}&state=live`);
    assert(items.length > 0, 'there is a session to end');
    for (const { id } of items) await admin.must('DELETE', `/admin/sessions/${id}`);
  };

  for (const strategy of ['session', 'jwt', 'tracked', 'refresh']) {
    await t.test(`${strategy}: signs in, says who it is, survives a reload or does not, and signs out`, async () => {
      const { page, leave } = await visitor(browser, own, { also: [origin] });
      const { press, says, enter, replied } = await example(page, strategy);
      await enter();
      await press('Who am I?');
      await replied('"login": "admin"');
      if (strategy === 'session') await presentable(page, 'an example');
      await page.reload();
      if (strategy === 'session' || strategy === 'refresh') await says('Signed in as');
      else await enter();
      if (strategy !== 'jwt') {
        await endAll(`example-${strategy}`);
        await press('Who am I?');
        await says('Nobody is signed in');
        await replied('"ended_reason": "revoked"');
        await enter();
      }
      await press('Sign out');
      await says('Nobody is signed in');
      await press('Who am I?');
      await replied('→ 401');
      await leave();
    });
  }

  await t.test('refresh: a lost access token is replaced, and two tabs that refresh at once stay signed in', async () => {
    const { page, context, leave } = await visitor(browser, own, { also: [origin] });
    const one = await example(page, 'refresh');
    await one.enter();
    await one.press('Lose the access token');
    await one.press('Who am I?');
    await one.replied(/auth\/session → 200/);
    const two = await example(await context.newPage(), 'refresh');
    await two.says('Signed in as');
    for (let round = 0; round < 5; round++) {
      await Promise.all([one.press('Refresh'), two.press('Refresh')]);
      await Promise.all([one.replied('auth/refresh → 200'), two.replied('auth/refresh → 200')]);
    }
    for (const tab of [one, two]) {
      await tab.press('Who am I?');
      await tab.replied(/auth\/session → 200/);
    }
    await leave();
  });

  for (const strategy of ['session', 'refresh']) {
    await t.test(`${strategy}: whoever signs in on the appliance's own page comes back signed in`, async () => {
      const { page, leave } = await visitor(browser, own, { also: [origin] });
      const { says } = await example(page, strategy);
      await page.getByRole('link', { name: 'own page' }).click();
      await page.getByLabel('Login or e-mail').fill('admin');
      await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL(`${own}/${strategy}.html`);
      await says('Signed in as');
      await leave();
    });
  }

  await t.test('with two apps in one browser, each page signs out of its own', async () => {
    const { page, context, leave } = await visitor(browser, own, { also: [origin] });
    const first = await example(page, 'session');
    await first.enter();
    const second = await example(await context.newPage(), 'refresh');
    await second.enter();
    await second.press('Sign out');
    await second.says('Nobody is signed in');
    await first.press('Who am I?');
    await first.replied('"login": "admin"');
    await first.press('Sign out');
    await first.says('Nobody is signed in');
    await leave();
  });

  await t.test('from an origin that the app does not name, nothing is to be had', async () => {
    const { page, context } = await visitor(browser, own, { also: [origin] });
    const { press, replied } = await example(page, 'session');
    await admin.must('PATCH', '/admin/apps/example-session', { origins: ['http://localhost:1'] });
    await page.getByLabel('Login').fill('admin');
    await page.getByLabel('Password').fill(PASSWORD);
    await press('Sign in');
    await replied('no reply');
    assert.deepEqual(await context.cookies(origin), []);
    await context.close();
  });
  end();
});
